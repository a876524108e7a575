package lambda

import (
	"errors"
	"reflect"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/lambda"
	"pergola/lattice"
	"pergola/store"
)

func isNotFound(err error) bool {
	var known *aws.Error
	return errors.As(err, &known) && known.Code == "ResourceNotFoundException"
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// order is a version's number in a form whose order is that of the numbers, $LATEST first.
func order(number string) string {
	if ordered, ok := lambda.VersionOrder(number); ok {
		return ordered
	}
	return lambda.Latest
}

// versionOf finds the version that a name means: by its number, by an alias, or the latest.
func (c *Control) versionOf(tx *store.Tx, f *lambda.Function, name lambda.Name) (*lambda.Version, error) {
	number := name.Qualifier
	if number != "" && number != lambda.Latest && !isNumber(number) {
		alias, err := aliasObjects.Get(tx, lambda.ID(f.Account, f.Name, number))
		if err != nil {
			return nil, missing(err, "Cannot find alias arn: %s", name.ARN())
		}
		number = alias.Version
	}
	if number == "" || number == lambda.Latest {
		return &f.Latest, nil
	}
	v, err := c.getVersion(tx, f, number)
	return &v, missing(err, "Function not found: %s", name.ARN())
}

// publish makes a version of the latest one, unless the last that was made is the same. The caller writes the function.
func (op *call) publish(f *lambda.Function, description *string) (*lambda.Version, error) {
	v := f.Latest
	if description != nil {
		v.Description = *description
	}
	if f.LastVersion > 0 {
		last, err := op.getVersion(op.Tx, f, strconv.FormatInt(f.LastVersion, 10))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil && alike(last, v) {
			return &last, nil
		}
	}
	f.LastVersion++
	v.Number, v.Modified, v.Revision = strconv.FormatInt(f.LastVersion, 10), op.time(), op.revision()
	return roomed(op, &v, op.putVersion(f, v))
}

// alike reports whether two versions have the same code and configuration.
func alike(a, b lambda.Version) bool {
	for _, v := range []*lambda.Version{&a, &b} {
		v.Number, v.Modified, v.Revision = "", lattice.Time{}, ""
		if len(v.Environment) == 0 {
			v.Environment = nil
		}
	}
	return reflect.DeepEqual(a, b)
}

// PublishVersion makes a version of the latest one.
func (op *call) PublishVersion(in *lambda.PublishVersionRequest) (*lambda.Configuration, error) {
	f, name, err := op.current(in.FunctionName, in.RevisionID)
	if err != nil {
		return nil, err
	}
	if sum := describe(f, &f.Latest, name).CodeSHA256; in.CodeSHA256 != "" && in.CodeSHA256 != sum {
		return nil, invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with "+
			"the CodeSHA256 in $LATEST.", in.CodeSHA256, sum)
	}
	v, err := op.publish(f, in.Description)
	if err != nil {
		return nil, err
	}
	name.Qualifier = v.Number
	return describe(f, v, name), op.put(f)
}

// deleteVersion deletes one version.
func (op *call) deleteVersion(f *lambda.Function, name lambda.Name) error {
	if !isNumber(name.Qualifier) {
		return invalid("%s cannot be deleted: give the number of a version, or no qualifier to delete the function", name.Qualifier)
	}
	if _, err := op.versionOf(op.Tx, f, name); err != nil {
		return err
	}
	aliases, err := op.aliases(f)
	if err != nil {
		return err
	}
	for _, alias := range aliases {
		if alias.Version == name.Qualifier {
			return conflict("Version %s is being used by the alias %s. To delete it, first point the alias to another version.", name.Qualifier, alias.Name)
		}
	}
	versionObjects.Delete(op.Tx, lambda.ID(f.Account, f.Name, order(name.Qualifier)))
	delete(f.Policies, name.Qualifier)
	return op.put(f)
}

// ListVersionsByFunction lists the versions of a function, the latest first and then by number.
func (op *call) ListVersionsByFunction(in *lambda.ListVersionsRequest) (*lambda.ListVersionsResponse, error) {
	f, name, err := op.unqualified(in.FunctionName)
	if err != nil {
		return nil, err
	}
	all, err := op.describeVersions(f, name)
	if err != nil {
		return nil, err
	}
	answer := &lambda.ListVersionsResponse{}
	answer.Versions, answer.NextMarker = page(all, in.Page,
		func(d lambda.Configuration) string { return order(d.Version) })
	return answer, nil
}

func (op *call) describeVersions(f *lambda.Function, name lambda.Name) ([]lambda.Configuration, error) {
	name.Qualifier = lambda.Latest
	all := []lambda.Configuration{*describe(f, &f.Latest, name)}
	versions, err := op.listVersions(op.Tx, f)
	for _, v := range versions {
		name.Qualifier = v.Number
		all = append(all, *describe(f, &v, name))
	}
	return all, err
}
