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

// sizeOf counts what a service network joins.
func (op *call) sizeOf(network *lattice.ServiceNetwork) (vpcs, services int64, err error) {
	joined, err := claims.Count(op.Tx, networkVPCClaim(network.ID, ""))
	if err != nil {
		return 0, 0, err
	}
	offered, err := claims.Count(op.Tx, networkServiceClaim(network.ID, ""))
	return int64(joined), int64(offered), err
}

// GetServiceNetwork describes a service network.
func (op *call) GetServiceNetwork(in *lattice.GetServiceNetworkRequest) (*lattice.GetServiceNetworkResponse, error) {
	network, err := serviceNetworks.find(op, "", in.ServiceNetworkIdentifier)
	if err != nil {
		return nil, err
	}
	network.SharingConfig = sharingOr(network.SharingConfig) // older ones were kept without
	answer := lattice.NewGetServiceNetworkResponse(network)
	answer.NumberOfAssociatedVPCs, answer.NumberOfAssociatedServices, err = op.sizeOf(network)
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
	vpcs, services, err := op.sizeOf(network)
	switch {
	case err != nil:
		return nil, err
	case vpcs > 0:
		return nil, lattice.ConflictError(lattice.KindServiceNetwork, network.ID, "ServiceNetwork %s has VPC(s) associated",
			network.ID)
	case services > 0:
		return nil, lattice.ConflictError(lattice.KindServiceNetwork, network.ID,
			"ServiceNetwork %s has service(s) associated", network.ID)
	}
	serviceNetworks.Delete(op.Tx, network)
	return &lattice.Empty{}, nil
}

// ListServiceNetworks lists the service networks of the account.
func (op *call) ListServiceNetworks(
	in *lattice.ListServiceNetworksRequest) (*lattice.List[lattice.ServiceNetworkSummary], error) {
	summary := func(network *lattice.ServiceNetwork) (answer *lattice.ServiceNetworkSummary, err error) {
		answer = lattice.NewServiceNetworkSummary(network)
		answer.NumberOfAssociatedVPCs, answer.NumberOfAssociatedServices, err = op.sizeOf(network)
		return answer, err
	}
	return paginate(op, in.Page, "", scan(op, serviceNetworks, "", all, summary))
}
