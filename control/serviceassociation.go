package control

import (
	"pergola/lattice"
	"pergola/store"
)

// CreateServiceNetworkServiceAssociation makes a service callable in a service network. The service may still be in
// creation. A custom domain name must be free in the network (user guide, Configure a custom domain name).
func (op *call) CreateServiceNetworkServiceAssociation(
	in *lattice.CreateServiceNetworkServiceAssociationRequest) (*lattice.CreateServiceNetworkServiceAssociationResponse,
	error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:ServiceArn", services.named(op, "", in.ServiceIdentifier))
	op.Set("vpc-lattice:ServiceNetworkArn", serviceNetworks.named(op, "", in.ServiceNetworkIdentifier))
	return respond(lattice.NewCreateServiceNetworkServiceAssociationResponse)(serviceAssociations.create(op,
		order{request: in, token: in.ClientToken, tags: in.Tags}, func() (*lattice.ServiceNetworkServiceAssociation, error) {
			return op.newServiceAssociation(in)
		}))
}

func (op *call) newServiceAssociation(in *lattice.CreateServiceNetworkServiceAssociationRequest) (*lattice.ServiceNetworkServiceAssociation, error) {
	network, err := serviceNetworks.find(op, "", in.ServiceNetworkIdentifier)
	if err != nil {
		return nil, err
	}
	service, err := services.standing(services.find(op, "", in.ServiceIdentifier))
	if err != nil {
		return nil, err
	}
	id := lattice.KindServiceNetworkServiceAssociation.NewID(op.Random)
	return &lattice.ServiceNetworkServiceAssociation{
		ID: id, ARN: op.home(op.Account).ARN(lattice.KindServiceNetworkServiceAssociation, id),
		Status: lattice.StatusCreateInProgress, CreatedBy: op.Account, CreatedAt: op.time(),
		ServiceID: service.ID, ServiceName: service.Name, ServiceARN: service.ARN,
		ServiceNetworkID: network.ID, ServiceNetworkName: network.Name, ServiceNetworkARN: network.ARN,
		DNSEntry: service.DNSEntry, CustomDomainName: service.CustomDomainName,
		Tags: in.Tags, ClientToken: in.ClientToken,
	}, nil
}

// GetServiceNetworkServiceAssociation describes an association.
func (op *call) GetServiceNetworkServiceAssociation(
	in *lattice.GetServiceNetworkServiceAssociationRequest) (*lattice.GetServiceNetworkServiceAssociationResponse, error) {
	return respond(lattice.NewGetServiceNetworkServiceAssociationResponse)(serviceAssociations.find(op, "", in.Identifier))
}

// DeleteServiceNetworkServiceAssociation begins the deletion of an association.
func (op *call) DeleteServiceNetworkServiceAssociation(
	in *lattice.DeleteServiceNetworkServiceAssociationRequest) (*lattice.DeleteServiceNetworkServiceAssociationResponse,
	error) {
	association, err := serviceAssociations.settled(serviceAssociations.find(op, "", in.Identifier))
	if err != nil {
		return nil, err
	}
	association.Status = lattice.StatusDeleteInProgress
	return lattice.NewDeleteServiceNetworkServiceAssociationResponse(association), serviceAssociations.put(op, association)
}

// dropServiceAssociation removes an association that no node knows any more.
func dropServiceAssociation(tx *store.Tx, a *lattice.ServiceNetworkServiceAssociation) error {
	serviceAssociations.Delete(tx, a)
	return nil
}

// ListServiceNetworkServiceAssociations lists the associations of a service, of a service network, or of both.
func (op *call) ListServiceNetworkServiceAssociations(
	in *lattice.ListServiceNetworkServiceAssociationsRequest) (
	*lattice.List[lattice.ServiceNetworkServiceAssociationSummary], error) {
	if in.ServiceIdentifier == "" && in.ServiceNetworkIdentifier == "" {
		return nil, lattice.Invalid("serviceNetworkIdentifier", "give a service network or a service")
	}
	network, service := lattice.IDOf(in.ServiceNetworkIdentifier), lattice.IDOf(in.ServiceIdentifier)
	if network != "" {
		if _, err := serviceNetworks.read(op, "", in.ServiceNetworkIdentifier); err != nil {
			return nil, err
		}
	}
	if service != "" {
		if _, err := services.read(op, "", in.ServiceIdentifier); err != nil {
			return nil, err
		}
	}
	keep := func(a *lattice.ServiceNetworkServiceAssociation) bool {
		return (network == "" || a.ServiceNetworkID == network) && (service == "" || a.ServiceID == service)
	}
	return paginate(op, in.Page, network+" "+service, scan(op, serviceAssociations, "", keep,
		summarise(lattice.NewServiceNetworkServiceAssociationSummary)))
}
