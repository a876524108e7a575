package control

import (
	"errors"
	"fmt"

	"pergola/aws/lambda"
	"pergola/lattice"
	"pergola/store"
)

// functionObjects and aliasObjects belong to Lambda. They are only read here, in the transaction that relies on them.
var (
	functionObjects        = store.NewKind[lambda.Function](lambda.KindFunction)
	functionVersionObjects = store.NewKind[lambda.Version](lambda.KindVersion)
	functionAliasObjects   = store.NewKind[lambda.Alias](lambda.KindAlias)
)

// findFunction finds the function that the group has already. One that is draining does not count.
func (p *targetPlace) findFunction() error {
	known, err := targetsOf(p.op.tx, p.group.ID)
	for _, target := range known {
		if target.DeregisteredAt == nil {
			p.taken = target.ID
		}
	}
	return err
}

// refuseFunction says why a function cannot be the one target of the group, or "" (user guide, "Lambda functions as targets
// in VPC Lattice").
func (p *targetPlace) refuseFunction(target lattice.Target) (string, error) {
	name, err := lambda.ParseARN(target.ID)
	account := lattice.AccountOf(p.group.ARN)
	switch {
	case err != nil:
		return err.Error(), nil
	case target.Port != 0:
		return "a function has no port", nil
	case name.Account != account:
		return "the function is not in the account of the target group", nil
	case name.Region != p.op.region:
		return "the function is not in " + p.op.region + ", the Region of the target group", nil
	case p.taken != "" && p.taken != target.ID:
		return "a target group has one function, and this one has " + p.taken + "; make another target group, or deregister that function first", nil
	}
	reason, err := p.refuseNamed(name)
	if reason == "" && err == nil {
		p.taken = target.ID
	}
	return reason, err
}

func (p *targetPlace) refuseNamed(name lambda.Name) (string, error) {
	function, err := functionObjects.Get(p.op.tx, lambda.ID(name.Account, name.Function))
	switch {
	case errors.Is(err, store.ErrNotFound) && p.op.foreignFunctions:
		return "", nil
	case errors.Is(err, store.ErrNotFound):
		return "no Lambda function of that ARN exists in this deployment", nil
	case err != nil:
		return "", err
	}
	if found, err := p.hasQualifier(name); err != nil || !found {
		return "the function has no version or alias " + name.Qualifier, err
	}
	if !function.LetsLattice(name, p.group.ARN, name.Account) {
		return fmt.Sprintf("the policy of the function does not let %s invoke it for this target group; add a permission (aws lambda add-permission --function-name %s --action %s --principal %s --source-arn %s)",
			lambda.LatticeService, name.ARN(), lambda.InvokeAction, lambda.LatticeService, p.group.ARN), nil
	}
	return "", nil
}

// hasQualifier reports whether the version or the alias exists that a name ends with, if it ends with one.
func (p *targetPlace) hasQualifier(name lambda.Name) (found bool, err error) {
	if name.Qualifier == "" || name.Qualifier == lambda.Latest {
		return true, nil
	}
	if number, ok := lambda.VersionOrder(name.Qualifier); ok {
		_, err = functionVersionObjects.Get(p.op.tx, lambda.ID(name.Account, name.Function, number))
	} else {
		_, err = functionAliasObjects.Get(p.op.tx, lambda.ID(name.Account, name.Function, name.Qualifier))
	}
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
