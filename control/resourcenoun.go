package control

import (
	"errors"

	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

var (
	resourceGateways = newNoun(lattice.KindResourceGateway, resource.Definition[lattice.ResourceGateway]{
		Head: func(v *lattice.ResourceGateway) resource.Head {
			return resource.Head{Path: v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
		},
		Progress: func(v *lattice.ResourceGateway) resource.Progress {
			return resource.Progress{Status: &v.Status, Failure: &v.Failure, Intent: &v.Intent}
		},
		Holds: func(v *lattice.ResourceGateway) []resource.Hold {
			account := nameClaim(lattice.AccountOf(v.ARN), lattice.KindResourceGateway, v.Name)
			return append([]resource.Hold{
				hold(account, v.ID, nameTaken(lattice.KindResourceGateway, v.Name)),
				holdMember(lattice.QuotaResourceGateways, lattice.KindResourceGateway,
					member{vpcGatewayClaim(v.VPCID, ""), v.ID, v.ID}, nil),
			}, refersTo(v.ID, v.VPCID)...)
		},
	})
	resourceConfigurations = newNoun(lattice.KindResourceConfiguration,
		resource.Definition[lattice.ResourceConfiguration]{
			Head: func(v *lattice.ResourceConfiguration) resource.Head {
				return resource.Head{Path: v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
			},
			Progress: func(v *lattice.ResourceConfiguration) resource.Progress {
				return resource.Progress{Status: &v.Status, Failure: &v.Failure, Intent: &v.Intent}
			},
			Holds: holdsOfConfiguration,
		})
	resourceAssociations = newNoun(lattice.KindServiceNetworkResourceAssociation,
		resource.Definition[lattice.ServiceNetworkResourceAssociation]{
			Head: func(v *lattice.ServiceNetworkResourceAssociation) resource.Head {
				return resource.Head{Path: v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
			},
			Progress: func(v *lattice.ServiceNetworkResourceAssociation) resource.Progress {
				return resource.Progress{Status: &v.Status, Failure: &v.Failure, Intent: &v.Intent}
			},
			Holds: holdsOfResourceAssociation,
		})
	domainVerifications = newNoun(lattice.KindDomainVerification, resource.Definition[lattice.DomainVerification]{
		Head: func(v *lattice.DomainVerification) resource.Head {
			return resource.Head{Path: v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
		},
		Holds: func(v *lattice.DomainVerification) []resource.Hold {
			kind := lattice.KindDomainVerification
			set := nameClaim(lattice.AccountOf(v.ARN), kind, "")
			return []resource.Hold{holdMember(lattice.QuotaDomainVerifications, kind, member{set, v.DomainName, v.ID},
				func(holder string) error {
					return lattice.ConflictError(kind, holder, "Domain %s has a verification already: %s; delete that first",
						v.DomainName, holder)
				})}
		},
	})
)

func holdsOfConfiguration(v *lattice.ResourceConfiguration) []resource.Hold {
	kind := lattice.KindResourceConfiguration
	holds := []resource.Hold{holdName(lattice.QuotaResourceConfigurations, kind, v.ARN, v.Name)}
	if v.Type == lattice.ResourceChild {
		holds = append(holds, holdMember(lattice.QuotaChildren, kind,
			member{groupChildClaim(v.ResourceConfigurationGroupID, ""), v.ID, v.ID}, nil))
	} else {
		holds = append(holds, hold(gatewayConfigurationClaim(v.ResourceGatewayID, v.Type, v.ID), v.ID, nil))
	}
	if v.Address.IsValid() {
		holds = append(holds, hold(resourceAddressClaim(v.Address.String()), v.ID, func(holder string) error {
			return lattice.ConflictError(kind, holder, "%s has the address %v", holder, v.Address)
		}))
	}
	return holds
}

func holdsOfResourceAssociation(v *lattice.ServiceNetworkResourceAssociation) []resource.Hold {
	kind := lattice.KindServiceNetworkResourceAssociation
	return []resource.Hold{
		holdMember(lattice.QuotaResourceAssociations, kind,
			member{networkResourceClaim(v.ServiceNetworkID, ""), v.ResourceConfigurationID, v.ID},
			func(holder string) error {
				return lattice.ConflictError(kind, holder,
					"Resource configuration %s is already associated with service network %s: %s", v.ResourceConfigurationID,
					v.ServiceNetworkID, holder)
			}),
		hold(resourceNetworkClaim(v.ResourceConfigurationID, v.ServiceNetworkID), v.ID, nil),
	}
}

// unexpected refuses a member of a request that does not go with its type, in the words of the service.
func unexpected(field, kind string) error { return attribute("Unexpected", field, kind) }

// missing refuses a request without a member that its type needs.
func missing(field, kind string) error { return attribute("Missing", field, kind) }

func attribute(what, field, kind string) error {
	message := what + " attribute " + field + " for type " + kind
	return &lattice.Error{Kind: lattice.Validation, Message: message, Reason: lattice.ReasonFieldValidationFailed,
		Fields: []lattice.FieldError{{Name: field, Message: message}}}
}

// verificationStatus is the status of a verification, or "" where there is none, or none any more.
func verificationStatus(tx *store.Tx, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	verification, err := domainVerifications.Objects.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return verification.Status, err
}
