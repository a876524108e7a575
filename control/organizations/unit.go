package organizations

import (
	"errors"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/organizations"
	"pergola/control/operation"
	"pergola/lattice"
)

// The limits of the tree (Organizations user guide, "Quotas").
const (
	maxUnits = 2000
	maxDepth = 5 // of units below the root
)

// paths are those of the root and of all units.
func (op *call) paths() (map[string]string, error) {
	all, err := allOf(op, units.Objects)
	if err != nil {
		return nil, err
	}
	return organizations.Paths(*op.organization, all)
}

// unit reads the unit that an operation is about.
func (op *call) unit(id string) (*organizations.Unit, error) {
	return find(op, units, id, aws.Errorf("OrganizationalUnitNotFoundException", "There is no organizational unit %s", id))
}

// parent checks that an id, which an operation is about, is that of the root or of a unit; code is the error if not.
func (op *call) parent(id, code string) error {
	if root := op.organization.Root; id == root.ID {
		return op.May(op.named(id), root.Tags)
	}
	_, err := find(op, units, id, aws.Errorf(code, "There is no root or organizational unit %s", id))
	return err
}

// CreateOrganizationalUnit makes a unit below the root or below another unit.
func (op *call) CreateOrganizationalUnit(
	in *organizations.CreateOrganizationalUnitRequest) (*organizations.UnitResponse, error) {
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := op.MayCreate(op.named(in.ParentID), tags, "TagResource"); err != nil {
		return nil, err
	}
	all, err := allOf(op, units.Objects)
	if err != nil {
		return nil, err
	}
	if err := op.roomFor(in.ParentID, all); err != nil {
		return nil, err
	}
	unit := &organizations.Unit{
		ID: organizations.UnitPrefix + strings.TrimPrefix(op.organization.Root.ID, organizations.RootPrefix) + "-" +
			lattice.NewSuffix(op.Random),
		Name: in.Name, Parent: in.ParentID, Policies: op.firstPolicies(), Tags: tags,
	}
	return op.writeUnit(unit, all, units.Add)
}

// roomFor checks that a unit may be made below a parent.
func (op *call) roomFor(parent string, all []organizations.Unit) error {
	paths, err := organizations.Paths(*op.organization, all)
	if err != nil {
		return err
	}
	path, ok := paths[parent]
	switch {
	case !ok:
		return aws.Errorf("ParentNotFoundException", "There is no root or organizational unit %s", parent)
	case len(all) >= maxUnits:
		return violation("OU_NUMBER_LIMIT_EXCEEDED", "An organization may have %d organizational units at most", maxUnits)
	case strings.Count(path, "/"+organizations.UnitPrefix) >= maxDepth:
		return violation("OU_DEPTH_LIMIT_EXCEEDED", "Organizational units may nest %d levels deep at most", maxDepth)
	}
	return nil
}

// writeUnit has put write a unit, unless another one of its parent has its name.
func (op *call) writeUnit(unit *organizations.Unit, all []organizations.Unit,
	put func(*operation.Call, *organizations.Unit) error) (*organizations.UnitResponse, error) {
	for _, other := range all {
		if other.Parent == unit.Parent && other.Name == unit.Name && other.ID != unit.ID {
			return nil, aws.Errorf("DuplicateOrganizationalUnitException",
				"Organizational unit %s of the same parent has this name", other.ID)
		}
	}
	if err := put(op.Call, unit); err != nil {
		return nil, err
	}
	return op.describeUnit(*unit)
}

func (op *call) describeUnit(unit organizations.Unit) (*organizations.UnitResponse, error) {
	paths, err := op.paths()
	return &organizations.UnitResponse{Unit: op.unitDescription(unit, paths)}, err
}

func (op *call) unitDescription(u organizations.Unit, paths map[string]string) organizations.UnitDescription {
	return organizations.UnitDescription{ID: u.ID, ARN: op.named(u.ID), Name: u.Name, Path: paths[u.ID]}
}

// DescribeOrganizationalUnit describes one unit.
func (op *call) DescribeOrganizationalUnit(
	in *organizations.DescribeOrganizationalUnitRequest) (*organizations.UnitResponse, error) {
	unit, err := op.unit(in.ID)
	if err != nil {
		return nil, err
	}
	return op.describeUnit(*unit)
}

// UpdateOrganizationalUnit renames a unit.
func (op *call) UpdateOrganizationalUnit(
	in *organizations.UpdateOrganizationalUnitRequest) (*organizations.UnitResponse, error) {
	unit, err := op.unit(in.ID)
	if err != nil {
		return nil, err
	}
	if in.Name != nil {
		unit.Name = *in.Name
	}
	all, err := allOf(op, units.Objects)
	if err != nil {
		return nil, err
	}
	return op.writeUnit(unit, all, func(op *operation.Call, unit *organizations.Unit) error { return units.Put(op, unit) })
}

// DeleteOrganizationalUnit deletes a unit that has neither accounts nor units.
func (op *call) DeleteOrganizationalUnit(in *organizations.DeleteOrganizationalUnitRequest) (*lattice.Empty, error) {
	unit, err := op.unit(in.ID)
	if err != nil {
		return nil, err
	}
	below, within, err := op.children(in.ID)
	if err != nil {
		return nil, err
	}
	if len(below)+len(within) > 0 {
		return nil, aws.Errorf("OrganizationalUnitNotEmptyException",
			"Organizational unit %s has %d accounts and %d organizational units; move or delete them first", in.ID,
			len(within), len(below))
	}
	units.Delete(op.Tx, unit)
	return done(nil)
}

// children are the units and the accounts right below a parent.
func (op *call) children(parent string) ([]organizations.Unit, []organizations.Account, error) {
	below, errUnits := op.childUnits(parent)
	accounts, errAccounts := op.accounts(func(a *organizations.Account) bool { return a.Parent == parent })
	return below, accounts, errors.Join(errUnits, errAccounts)
}

func (op *call) childUnits(parent string) ([]organizations.Unit, error) {
	all, err := allOf(op, units.Objects)
	return slices.DeleteFunc(all, func(u organizations.Unit) bool { return u.Parent != parent }), err
}

// ListOrganizationalUnitsForParent lists the units that are right below the root or a unit.
func (op *call) ListOrganizationalUnitsForParent(
	in *organizations.ListOrganizationalUnitsForParentRequest) (*organizations.ListOrganizationalUnitsForParentResponse,
	error) {
	if err := op.parent(in.ParentID, "ParentNotFoundException"); err != nil {
		return nil, err
	}
	found, err := op.childUnits(in.ParentID)
	if err != nil {
		return nil, err
	}
	paths, err := op.paths()
	if err != nil {
		return nil, err
	}
	found, next := page(found, in.Page, func(u organizations.Unit) string { return u.ID })
	describe := func(u organizations.Unit) organizations.UnitDescription { return op.unitDescription(u, paths) }
	return &organizations.ListOrganizationalUnitsForParentResponse{Units: each(found, describe), NextToken: next}, nil
}

// ListParents lists the one parent of an account or a unit.
func (op *call) ListParents(in *organizations.ListParentsRequest) (*organizations.ListParentsResponse, error) {
	child, err := op.child(in.ChildID, aws.Errorf("ChildNotFoundException",
		"There is no account or organizational unit %s", in.ChildID))
	if err != nil {
		return nil, err
	}
	parent := organizations.Relative{ID: child.parent, Type: organizations.TypeUnit}
	if parent.ID == op.organization.Root.ID {
		parent.Type = organizations.TypeRoot
	}
	parents, next := page([]organizations.Relative{parent}, in.Page, relativeID)
	return &organizations.ListParentsResponse{Parents: parents, NextToken: next}, nil
}

func relativeID(r organizations.Relative) string { return r.ID }

// ListChildren lists the accounts or the units that are right below the root or a unit.
func (op *call) ListChildren(in *organizations.ListChildrenRequest) (*organizations.ListChildrenResponse, error) {
	if err := op.parent(in.ParentID, "ParentNotFoundException"); err != nil {
		return nil, err
	}
	below, within, err := op.children(in.ParentID)
	if err != nil {
		return nil, err
	}
	children := each(below, func(u organizations.Unit) organizations.Relative {
		return organizations.Relative{ID: u.ID, Type: organizations.TypeUnit}
	})
	if in.ChildType == organizations.TypeAccount {
		children = each(within, func(a organizations.Account) organizations.Relative {
			return organizations.Relative{ID: a.ID, Type: organizations.TypeAccount}
		})
	}
	children, next := page(children, in.Page, relativeID)
	return &organizations.ListChildrenResponse{Children: children, NextToken: next}, nil
}
