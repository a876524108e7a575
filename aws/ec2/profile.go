package ec2

// ProfileSpecification names an instance profile, by name or by ARN.
type ProfileSpecification struct {
	ARN  string `query:"Arn"`
	Name string `query:"Name"`
}

// ProfileDescription is an instance profile as callers see it.
type ProfileDescription struct {
	ARN string `xml:"arn"`
	ID  string `xml:"id"`
}

type AssociateProfileRequest struct {
	InstanceID string               `query:"InstanceId" check:"required"`
	Profile    ProfileSpecification `query:"IamInstanceProfile" check:"required"`
}

type ReplaceProfileRequest struct {
	AssociationID string               `query:"AssociationId" check:"required"`
	Profile       ProfileSpecification `query:"IamInstanceProfile" check:"required"`
}

type DisassociateProfileRequest struct {
	AssociationID string `query:"AssociationId" check:"required"`
}

// ProfileAssociationResponse is what one of the three has made of an association.
type ProfileAssociationResponse struct {
	Association ProfileAssociationDescription `xml:"iamInstanceProfileAssociation"`
}

// ProfileAssociationDescription is the association of an instance with an instance profile as callers see it.
type ProfileAssociationDescription struct {
	ID         string             `xml:"associationId"`
	InstanceID string             `xml:"instanceId"`
	Profile    ProfileDescription `xml:"iamInstanceProfile"`
	State      AssociationState   `xml:"state"`
}

// AssociationState is where the association of an instance profile stands.
type AssociationState string

const (
	Associating    AssociationState = "associating"
	Associated     AssociationState = "associated"
	Disassociating AssociationState = "disassociating"
)

type DescribeProfileAssociationsRequest struct {
	IDs     []string `query:"AssociationId"`
	Filters []Filter `query:"Filter"`
}

type DescribeProfileAssociationsResponse struct {
	Associations Set[ProfileAssociationDescription] `xml:"iamInstanceProfileAssociationSet"`
}

// Describe is the profile as callers see it.
func (a *ProfileAssociation) Describe() ProfileDescription {
	return ProfileDescription{a.ProfileARN, a.ProfileID}
}
