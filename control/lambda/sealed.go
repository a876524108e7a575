package lambda

import (
	"encoding/json"
	"fmt"

	"pergola/aws/lambda"
	"pergola/store"
)

// The functions and versions in the store have their variables sealed. Those who need a version with its variables read and
// write it here.

// getFunction reads a function.
func (c *Control) getFunction(tx *store.Tx, name lambda.Name) (*lambda.Function, error) {
	f, err := functionObjects.Get(tx, lambda.ID(name.Account, name.Function))
	if err != nil {
		return nil, missing(err, "Function not found: %s", name.ARN())
	}
	if err := c.unseal(&f.Latest, f.Account, f.Name); err != nil {
		return nil, err
	}
	return &f, nil
}

// listFunctions reads the functions of an account.
func (c *Control) listFunctions(tx *store.Tx, account string) ([]lambda.Function, error) {
	all, err := below(tx, functionObjects, lambda.ID(account, ""))
	for i := range all {
		if err := c.unseal(&all[i].Latest, all[i].Account, all[i].Name); err != nil {
			return nil, err
		}
	}
	return all, err
}

// put writes a function.
func (op *call) put(f *lambda.Function) error {
	sealed := *f
	if err := op.seal(&sealed.Latest, f.Account, f.Name); err != nil {
		return err
	}
	return functionObjects.Put(op.Tx, lambda.ID(f.Account, f.Name), sealed)
}

// getVersion reads a version that was published.
func (c *Control) getVersion(tx *store.Tx, f *lambda.Function, number string) (lambda.Version, error) {
	v, err := versionObjects.Get(tx, lambda.ID(f.Account, f.Name, order(number)))
	if err != nil {
		return v, err
	}
	return v, c.unseal(&v, f.Account, f.Name)
}

// listVersions reads the versions of a function that were published.
func (c *Control) listVersions(tx *store.Tx, f *lambda.Function) ([]lambda.Version, error) {
	all, err := below(tx, versionObjects, lambda.ID(f.Account, f.Name, ""))
	for i := range all {
		if err := c.unseal(&all[i], f.Account, f.Name); err != nil {
			return nil, err
		}
	}
	return all, err
}

// allVersions reads the versions with a prefix that were published, and the latest ones, with their variables sealed.
func allVersions(tx *store.Tx, prefix string) ([]lambda.Version, error) {
	functions, err := below(tx, functionObjects, prefix)
	if err != nil {
		return nil, err
	}
	all, err := below(tx, versionObjects, prefix)
	for _, f := range functions {
		all = append(all, f.Latest)
	}
	return all, err
}

// putVersion writes a version that is published.
func (op *call) putVersion(f *lambda.Function, v lambda.Version) error {
	if err := op.seal(&v, f.Account, f.Name); err != nil {
		return err
	}
	return versionObjects.Put(op.Tx, lambda.ID(f.Account, f.Name, order(v.Number)), v)
}

// seal seals the variables of a version, if it has any.
func (c *Control) seal(v *lambda.Version, account, function string) error {
	v.SealedEnvironment = nil
	if len(v.Environment) == 0 {
		return nil
	}
	encoded, err := json.Marshal(v.Environment)
	if err != nil {
		return err
	}
	v.SealedEnvironment = c.box.SealVariables(c.arnOf(account, function), encoded)
	return nil
}

// unseal opens the variables of a version.
func (c *Control) unseal(v *lambda.Version, account, function string) error {
	if v.SealedEnvironment == nil {
		return nil
	}
	arn := c.arnOf(account, function)
	encoded, err := c.box.OpenVariables(arn, v.SealedEnvironment)
	if err != nil {
		return err
	}
	v.SealedEnvironment = nil
	if err := json.Unmarshal(encoded, &v.Environment); err != nil {
		return fmt.Errorf("the variables of %s in the store: %w", arn, err)
	}
	return nil
}

func (c *Control) arnOf(account, function string) string {
	return lambda.Name{Region: c.Region, Account: account, Function: function}.ARN()
}
