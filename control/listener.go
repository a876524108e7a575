package control

import (
	"pergola/lattice"
)

// CreateListener adds a listener to a service, which may itself still be in creation. Its name and its port must be
// free in the service.
func (op *call) CreateListener(in *lattice.CreateListenerRequest) (*lattice.CreateListenerResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := checkAction("defaultAction", in.DefaultAction); err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:Protocol", string(in.Protocol))
	op.Set("vpc-lattice:TargetGroupArns", op.groupARNs(in.DefaultAction)...)
	listener, err := listeners.create(op, order{in, in.ClientToken, in.Tags, []string{in.ServiceIdentifier}},
		func() (*lattice.Listener, error) { return op.newListener(in) })
	if err != nil {
		return nil, err
	}
	return lattice.NewCreateListenerResponse(listener), op.linkGroups(listener.ServiceID)
}

func (op *call) newListener(in *lattice.CreateListenerRequest) (*lattice.Listener, error) {
	service, err := services.standing(services.read(op, "", in.ServiceIdentifier))
	if err != nil {
		return nil, err
	}
	if in.Protocol == lattice.ProtocolTLSPassthrough && service.CustomDomainName == "" {
		return nil, lattice.Invalid("protocol", "a TLS_PASSTHROUGH listener needs a service with a custom domain name, and %s has none", service.ID)
	}
	action, err := op.admitAction("defaultAction", in.Protocol, in.DefaultAction)
	if err != nil {
		return nil, err
	}
	listener, now := &lattice.Listener{
		ID: lattice.KindListener.NewID(op.Random), DefaultRuleID: lattice.KindRule.NewID(op.Random),
		ServiceID: service.ID, ServiceARN: service.ARN, Name: in.Name, Protocol: in.Protocol, Port: in.Port,
		DefaultAction: action, Tags: in.Tags, ClientToken: in.ClientToken,
	}, op.time()
	listener.ARN = service.ARN + "/listener/" + listener.ID
	listener.CreatedAt, listener.LastUpdatedAt = now, now
	if listener.Port == 0 {
		listener.Port = in.Protocol.DefaultPort()
	}
	return listener, nil
}

// findListener finds the listener that an operation is about.
func (op *call) findListener(service, listener string) (*lattice.Listener, error) {
	op.About(listeners.named(op, below(lattice.IDOf(service)), listener))
	parent, err := services.read(op, "", service)
	if err != nil {
		return nil, err
	}
	return listeners.find(op, below(parent.ID), listener)
}

// readListener reads a listener that an operation refers to.
func (op *call) readListener(service, listener string) (*lattice.Listener, error) {
	parent, err := services.read(op, "", service)
	if err != nil {
		return nil, err
	}
	return listeners.read(op, below(parent.ID), listener)
}

// findListenerToChange finds the listener that an operation is about and its service, which must not be going away.
func (op *call) findListenerToChange(service, listener string) (*lattice.Service, *lattice.Listener, error) {
	found, err := op.findListener(service, listener)
	if err != nil {
		return nil, nil, err
	}
	parent, err := services.standing(services.read(op, "", service))
	return parent, found, err
}

// GetListener describes a listener.
func (op *call) GetListener(in *lattice.GetListenerRequest) (*lattice.GetListenerResponse, error) {
	return respond(lattice.NewGetListenerResponse)(op.findListener(in.ServiceIdentifier, in.ListenerIdentifier))
}

// UpdateListener replaces the default action.
func (op *call) UpdateListener(in *lattice.UpdateListenerRequest) (*lattice.UpdateListenerResponse, error) {
	if err := checkAction("defaultAction", in.DefaultAction); err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:TargetGroupArns", op.groupARNs(in.DefaultAction)...)
	service, listener, err := op.findListenerToChange(in.ServiceIdentifier, in.ListenerIdentifier)
	if err != nil {
		return nil, err
	}
	if listener.DefaultAction, err = op.admitAction("defaultAction", listener.Protocol, in.DefaultAction); err != nil {
		return nil, err
	}
	listener.LastUpdatedAt = op.time()
	if err := listeners.put(op, listener); err != nil {
		return nil, err
	}
	return lattice.NewUpdateListenerResponse(listener), op.linkGroups(service.ID)
}

// DeleteListener deletes a listener with its rules.
func (op *call) DeleteListener(in *lattice.DeleteListenerRequest) (*lattice.Empty, error) {
	service, listener, err := op.findListenerToChange(in.ServiceIdentifier, in.ListenerIdentifier)
	if err != nil {
		return nil, err
	}
	if err := rules.DeleteParts(op.Tx, lattice.AccountOf(service.ARN), service.ID+"/"+listener.ID); err != nil {
		return nil, err
	}
	if err := claims.DeletePrefix(op.Tx, below(service.ID, listener.ID)); err != nil {
		return nil, err
	}
	listeners.Delete(op.Tx, listener)
	return &lattice.Empty{}, op.linkGroups(service.ID)
}

// ListListeners lists the listeners of a service.
func (op *call) ListListeners(in *lattice.ListListenersRequest) (*lattice.List[lattice.ListenerSummary], error) {
	service, err := services.read(op, "", in.ServiceIdentifier)
	if err != nil {
		return nil, err
	}
	return list(op, in.Page, listeners, below(service.ID), lattice.NewListenerSummary)
}
