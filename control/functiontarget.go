package control

import (
	"errors"
	"fmt"

	"pergola/aws"
	"pergola/aws/lambda"
	"pergola/lattice"
	"pergola/store"
)

// Functions, their versions and their aliases belong to Lambda. They are read in the transaction that relies on them, and a
// function gets no more than the permission that it needs.
var (
	functionObjects        = store.NewKind[lambda.Function](lambda.KindFunction)
	functionVersionObjects = store.NewKind[lambda.Version](lambda.KindVersion)
	functionAliasObjects   = store.NewKind[lambda.Alias](lambda.KindAlias)
)

// findFunction finds the function that the group has already. One that is draining does not count.
func (p *targetPlace) findFunction() error {
	known, err := targetsOf(p.op.Tx, p.group.ID)
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
	case name.Region != p.op.Region:
		return "the function is not in " + p.op.Region + ", the Region of the target group", nil
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
	function, err := functionObjects.Get(p.op.Tx, lambda.ID(name.Account, name.Function))
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
	if function.LetsLattice(name, p.group.ARN, name.Account) {
		return "", nil
	}
	if err := p.op.MayAlso("lambda:AddPermission", name.ARN(), function.Tags); err != nil {
		return "", err
	}
	if err := function.LetLattice(name, p.group.ARN, aws.NewUUID(p.op.Random)); err != nil {
		return fmt.Sprintf("the policy of the function does not let %s invoke it for this target group, and no permission can be added: %v", lambda.LatticeService, err), nil
	}
	p.permitted = &function
	return "", nil
}

// permit writes the function that was found good, if it lacked the permission for VPC Lattice to invoke it and has it now: who
// registers a function gives it (user guide, "Lambda functions as targets in VPC Lattice", "Amazon VPC Lattice API
// permissions").
func (p *targetPlace) permit() error {
	if p.permitted == nil {
		return nil
	}
	return functionObjects.Put(p.op.Tx, lambda.ID(p.permitted.Account, p.permitted.Name), *p.permitted)
}

// hasQualifier reports whether the version or the alias exists that a name ends with, if it ends with one.
func (p *targetPlace) hasQualifier(name lambda.Name) (found bool, err error) {
	if name.Qualifier == "" || name.Qualifier == lambda.Latest {
		return true, nil
	}
	if number, ok := lambda.VersionOrder(name.Qualifier); ok {
		_, err = functionVersionObjects.Get(p.op.Tx, lambda.ID(name.Account, name.Function, number))
	} else {
		_, err = functionAliasObjects.Get(p.op.Tx, lambda.ID(name.Account, name.Function, name.Qualifier))
	}
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
