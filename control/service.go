package control

import (
	"pergola/lattice"
	"pergola/store"
)

// CreateService makes a service. Its name must be free in the account; its domain name is known at once.
func (op *call) CreateService(in *lattice.CreateServiceRequest) (*lattice.CreateServiceResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if in.CustomDomainName != "" {
		if err := checkDomainName("customDomainName", in.CustomDomainName); err != nil {
			return nil, err
		}
	}
	op.Set("vpc-lattice:AuthType", string(in.AuthType))
	return respond(lattice.NewCreateServiceResponse)(services.create(op, order{request: in, token: in.ClientToken,
		tags: in.Tags}, func() (*lattice.Service, error) {
		return op.newService(in)
	}))
}

func (op *call) newService(in *lattice.CreateServiceRequest) (*lattice.Service, error) {
	if err := op.admitCertificate(in.CertificateARN, in.CustomDomainName); err != nil {
		return nil, err
	}
	id, now := lattice.KindService.NewID(op.Random), op.time()
	service := &lattice.Service{
		ID: id, ARN: op.home(op.Account).ARN(lattice.KindService, id), Name: in.Name,
		AuthType:         authTypeOr(in.AuthType, lattice.AuthNone),
		CustomDomainName: in.CustomDomainName, CertificateARN: in.CertificateARN,
		IdleTimeoutSeconds: in.IdleTimeoutSeconds, Status: lattice.StatusCreateInProgress,
		DNSEntry: lattice.DNSEntry{
			DomainName:   lattice.DomainName(in.Name, id, op.Region),
			HostedZoneID: lattice.HostedZoneID(lattice.DomainSuffix(op.Region)),
		},
		CreatedAt: now, LastUpdatedAt: now, Tags: in.Tags, ClientToken: in.ClientToken,
	}
	if service.IdleTimeoutSeconds == 0 {
		service.IdleTimeoutSeconds = lattice.DefaultIdleTimeoutSeconds
	}
	return service, nil
}

// GetService describes a service.
func (op *call) GetService(in *lattice.GetServiceRequest) (*lattice.GetServiceResponse, error) {
	return respond(lattice.NewGetServiceResponse)(services.find(op, "", in.ServiceIdentifier))
}

// UpdateService changes what the request has of a service. There is no status for that: an empty certificate removes
// the certificate.
func (op *call) UpdateService(in *lattice.UpdateServiceRequest) (*lattice.UpdateServiceResponse, error) {
	op.Set("vpc-lattice:AuthType", string(in.AuthType))
	service, err := services.settled(services.find(op, "", in.ServiceIdentifier))
	if err != nil {
		return nil, err
	}
	if in.CertificateARN != nil {
		if err := op.admitCertificate(*in.CertificateARN, service.CustomDomainName); err != nil {
			return nil, err
		}
		service.CertificateARN = *in.CertificateARN
	}
	if in.IdleTimeoutSeconds != 0 {
		service.IdleTimeoutSeconds = in.IdleTimeoutSeconds
	}
	service.AuthType, service.LastUpdatedAt = authTypeOr(in.AuthType, service.AuthType), op.time()
	return lattice.NewUpdateServiceResponse(service), services.put(op, service)
}

// DeleteService begins the deletion of a service that is in no service network any more (user guide, Delete a
// service). Its listeners and rules go with it.
func (op *call) DeleteService(in *lattice.DeleteServiceRequest) (*lattice.DeleteServiceResponse, error) {
	service, err := services.find(op, "", in.ServiceIdentifier)
	if err != nil {
		return nil, err
	}
	associated, err := claims.Count(op.Tx, serviceNetworkClaim(service.ID, ""))
	switch {
	case err != nil:
		return nil, err
	case associated > 0:
		return nil, lattice.ConflictError(lattice.KindService, service.ID, "Service %s has service network(s) associated",
			service.ID)
	}
	if service.Status != lattice.StatusDeleteInProgress {
		service.Status, service.LastUpdatedAt = lattice.StatusDeleteInProgress, op.time()
		err = services.put(op, service)
	}
	return lattice.NewDeleteServiceResponse(service), err
}

// dropService removes a service that no node knows any more, and all that was its own.
func dropService(tx *store.Tx, service *lattice.Service) error {
	if err := listeners.DeleteParts(tx, lattice.AccountOf(service.ARN), service.ID); err != nil {
		return err
	}
	if err := rules.DeleteParts(tx, lattice.AccountOf(service.ARN), service.ID); err != nil {
		return err
	}
	if err := unlinkGroups(tx, service.ID); err != nil {
		return err
	}
	services.Delete(tx, service)
	return claims.DeletePrefix(tx, below(service.ID))
}

// ListServices lists the services of the account.
func (op *call) ListServices(in *lattice.ListServicesRequest) (*lattice.List[lattice.ServiceSummary], error) {
	return list(op, in.Page, services, "", lattice.NewServiceSummary)
}
