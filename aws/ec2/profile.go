package ec2

// AssociationState is where the association of an instance profile stands.
type AssociationState string

const (
	Associating    AssociationState = "associating"
	Associated     AssociationState = "associated"
	Disassociating AssociationState = "disassociating"
)

// Describe is the profile as callers see it.
func (a *ProfileAssociation) Describe() ProfileDescription {
	return ProfileDescription{a.ProfileARN, a.ProfileID}
}
