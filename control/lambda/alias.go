package lambda

import (
	"errors"

	"pergola/aws/lambda"
	"pergola/lattice"
	"pergola/store"
)

// CreateAlias gives a version a name.
func (op *call) CreateAlias(in *lambda.CreateAliasRequest) (*lambda.AliasDescription, error) {
	f, name, err := op.unqualified(in.FunctionName)
	if err != nil {
		return nil, err
	}
	name.Qualifier = in.Name
	switch _, err := aliasObjects.Get(op.Tx, lambda.ID(f.Account, f.Name, in.Name)); {
	case err == nil:
		return nil, conflict("Alias already exists: %s", name.ARN())
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	return op.putAlias(f, name, lambda.Alias{Name: in.Name, Version: in.FunctionVersion, Description: in.Description},
		in.RoutingConfig)
}

// putAlias writes an alias whose version exists.
func (op *call) putAlias(f *lambda.Function, name lambda.Name, alias lambda.Alias, routing *lambda.Routing) (*lambda.AliasDescription, error) {
	if routing != nil && len(routing.AdditionalVersionWeights) > 0 {
		return nil, invalid("RoutingConfig is not served here; weigh target groups in a rule's forward action instead")
	}
	named := name
	named.Qualifier = alias.Version
	if _, err := op.versionOf(op.Tx, f, named); err != nil {
		return nil, err
	}
	alias.Revision = op.revision()
	return describeAlias(name, &alias), aliasObjects.Put(op.Tx, lambda.ID(f.Account, f.Name, alias.Name), alias)
}

func describeAlias(name lambda.Name, a *lambda.Alias) *lambda.AliasDescription {
	return &lambda.AliasDescription{
		AliasARN: name.ARN(), Name: a.Name, FunctionVersion: a.Version, Description: a.Description, RevisionID: a.Revision,
	}
}

// alias finds the alias that a request names.
func (op *call) alias(in *lambda.AliasReference) (*lambda.Function, lambda.Name, lambda.Alias, error) {
	f, name, err := op.unqualified(in.FunctionName)
	if err != nil {
		return nil, name, lambda.Alias{}, err
	}
	name.Qualifier = in.Name
	alias, err := aliasObjects.Get(op.Tx, lambda.ID(f.Account, f.Name, in.Name))
	return f, name, alias, missing(err, "Cannot find alias arn: %s", name.ARN())
}

// GetAlias describes an alias.
func (op *call) GetAlias(in *lambda.GetAliasRequest) (*lambda.AliasDescription, error) {
	_, name, alias, err := op.alias(&in.AliasReference)
	if err != nil {
		return nil, err
	}
	return describeAlias(name, &alias), nil
}

// UpdateAlias gives an alias another version or description.
func (op *call) UpdateAlias(in *lambda.UpdateAliasRequest) (*lambda.AliasDescription, error) {
	f, name, alias, err := op.alias(&in.AliasReference)
	if err != nil {
		return nil, err
	}
	if err := unchanged(in.RevisionID, alias.Revision); err != nil {
		return nil, err
	}
	if in.FunctionVersion != "" {
		alias.Version = in.FunctionVersion
	}
	if in.Description != nil {
		alias.Description = *in.Description
	}
	return op.putAlias(f, name, alias, in.RoutingConfig)
}

// DeleteAlias deletes an alias, if there is one, with its policy.
func (op *call) DeleteAlias(in *lambda.DeleteAliasRequest) (*lattice.Empty, error) {
	f, _, _, err := op.alias(&in.AliasReference)
	if f == nil || err != nil && !isNotFound(err) {
		return nil, err
	}
	aliasObjects.Delete(op.Tx, lambda.ID(f.Account, f.Name, in.Name))
	delete(f.Policies, in.Name)
	return done(op.put(f))
}

func (op *call) aliases(f *lambda.Function) ([]lambda.Alias, error) {
	return below(op.Tx, aliasObjects, lambda.ID(f.Account, f.Name, ""))
}

// ListAliases lists the aliases of a function, or those of one version.
func (op *call) ListAliases(in *lambda.ListAliasesRequest) (*lambda.ListAliasesResponse, error) {
	f, name, err := op.unqualified(in.FunctionName)
	if err != nil {
		return nil, err
	}
	aliases, err := op.aliases(f)
	var all []lambda.AliasDescription
	for _, alias := range aliases {
		if in.FunctionVersion == "" || in.FunctionVersion == alias.Version {
			name.Qualifier = alias.Name
			all = append(all, *describeAlias(name, &alias))
		}
	}
	answer := &lambda.ListAliasesResponse{}
	answer.Aliases, answer.NextMarker = page(all, in.Page, func(a lambda.AliasDescription) string { return a.Name })
	return answer, err
}
