package control

import (
	"pergola/lattice"
)

// CreateServiceNetwork makes a service network. Its name must be free in the account.
func (op *call) CreateServiceNetwork(
	in *lattice.CreateServiceNetworkRequest) (*lattice.CreateServiceNetworkResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:AuthType", string(in.AuthType))
	return respond(lattice.NewCreateServiceNetworkResponse)(serviceNetworks.create(op,
		order{request: in, token: in.ClientToken, tags: in.Tags}, func() (*lattice.ServiceNetwork, error) {
			return op.newServiceNetwork(in)
		}))
}

func (op *call) newServiceNetwork(in *lattice.CreateServiceNetworkRequest) (*lattice.ServiceNetwork, error) {
	id, now := lattice.KindServiceNetwork.NewID(op.Random), op.time()
	return &lattice.ServiceNetwork{
		ID: id, ARN: op.home(op.Account).ARN(lattice.KindServiceNetwork, id), Name: in.Name,
		AuthType: authTypeOr(in.AuthType, lattice.AuthNone), SharingConfig: sharingOr(in.SharingConfig),
		CreatedAt: now, LastUpdatedAt: now, Tags: in.Tags, ClientToken: in.ClientToken,
	}, nil
}

// sharingOr completes whether a service network may be shared, which it may unless its creator says otherwise.
func sharingOr(given *lattice.SharingConfig) *lattice.SharingConfig {
	if given == nil || given.Enabled == nil {
		return &lattice.SharingConfig{Enabled: new(true)}
	}
	return given
}

func authTypeOr(given, otherwise lattice.AuthType) lattice.AuthType {
	if given == "" {
		return otherwise
	}
	return given
}

// size is how much a service network joins.
type size struct{ vpcs, services, resources int64 }

func (op *call) sizeOf(network *lattice.ServiceNetwork) (of size, err error) {
	for set, n := range map[string]*int64{
		networkVPCClaim(network.ID, ""): &of.vpcs, networkServiceClaim(network.ID, ""): &of.services,
		networkResourceClaim(network.ID, ""): &of.resources,
	} {
		counted, err := claims.Count(op.Tx, set)
		if err != nil {
			return size{}, err
		}
		*n = int64(counted)
	}
	return of, nil
}

// GetServiceNetwork describes a service network.
func (op *call) GetServiceNetwork(in *lattice.GetServiceNetworkRequest) (*lattice.GetServiceNetworkResponse, error) {
	network, err := serviceNetworks.find(op, "", in.ServiceNetworkIdentifier)
	if err != nil {
		return nil, err
	}
	network.SharingConfig = sharingOr(network.SharingConfig) // older ones were kept without
	answer := lattice.NewGetServiceNetworkResponse(network)
	of, err := op.sizeOf(network)
	answer.NumberOfAssociatedVPCs, answer.NumberOfAssociatedServices = of.vpcs, of.services
	return answer, err
}

// UpdateServiceNetwork changes who decides about requests.
func (op *call) UpdateServiceNetwork(
	in *lattice.UpdateServiceNetworkRequest) (*lattice.UpdateServiceNetworkResponse, error) {
	op.Set("vpc-lattice:AuthType", string(in.AuthType))
	network, err := serviceNetworks.find(op, "", in.ServiceNetworkIdentifier)
	if err != nil {
		return nil, err
	}
	network.AuthType, network.LastUpdatedAt = in.AuthType, op.time()
	return lattice.NewUpdateServiceNetworkResponse(network), serviceNetworks.put(op, network)
}

// DeleteServiceNetwork deletes a service network that joins nothing any more. An association counts until it is gone.
func (op *call) DeleteServiceNetwork(in *lattice.DeleteServiceNetworkRequest) (*lattice.Empty, error) {
	network, err := serviceNetworks.find(op, "", in.ServiceNetworkIdentifier)
	if err != nil {
		return nil, err
	}
	of, err := op.sizeOf(network)
	switch {
	case err != nil:
		return nil, err
	case of.vpcs > 0:
		return nil, lattice.ConflictError(lattice.KindServiceNetwork, network.ID, "ServiceNetwork %s has VPC(s) associated",
			network.ID)
	case of.services > 0:
		return nil, lattice.ConflictError(lattice.KindServiceNetwork, network.ID,
			"ServiceNetwork %s has service(s) associated", network.ID)
	case of.resources > 0:
		return nil, lattice.ConflictError(lattice.KindServiceNetwork, network.ID,
			"ServiceNetwork %s has resource configuration(s) associated", network.ID)
	}
	serviceNetworks.Delete(op.Tx, network)
	return &lattice.Empty{}, nil
}

// ListServiceNetworks lists the service networks of the account.
func (op *call) ListServiceNetworks(
	in *lattice.ListServiceNetworksRequest) (*lattice.List[lattice.ServiceNetworkSummary], error) {
	summary := func(network *lattice.ServiceNetwork) (*lattice.ServiceNetworkSummary, error) {
		answer := lattice.NewServiceNetworkSummary(network)
		of, err := op.sizeOf(network)
		answer.NumberOfAssociatedVPCs, answer.NumberOfAssociatedServices = of.vpcs, of.services
		answer.NumberOfAssociatedResourceConfigurations = of.resources
		return answer, err
	}
	return paginate(op, in.Page, "", scan(op, serviceNetworks, "", all, summary))
}
