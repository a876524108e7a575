package elbv2

import (
	"cmp"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/acm"
	"pergola/aws/elbv2"
	"pergola/lattice"
	"pergola/store"
)

// defaultSSLPolicy is the security policy of HTTPS listeners that name none (API reference, CreateListener).
const defaultSSLPolicy = "ELBSecurityPolicy-2016-08"

// sslPolicyName is what the names of all security policies look like (user guide for Application Load Balancers, "Security
// policies").
var sslPolicyName = regexp.MustCompile(`^ELBSecurityPolicy-[A-Za-z0-9-]{1,64}$`)

// listener reads the listener that an operation is about, with its load balancer, if the caller may perform it on that.
// The listener is the load balancer's own.
func (op *call) listener(arn string) (*elbv2.LoadBalancer, *elbv2.Listener, error) {
	l, listener, err := op.readListener(arn)
	if err != nil {
		return nil, nil, cmp.Or(op.May(arn, nil), err)
	}
	return l, listener, op.May(arn, listener.Tags)
}

func (op *call) readListener(arn string) (*elbv2.LoadBalancer, *elbv2.Listener, error) {
	of, ok := parts(arn, "listener/app", 3)
	if !ok {
		return nil, nil, aws.Errorf(codeValidation, "'%s' is not a valid listener ARN", arn)
	}
	above := strings.TrimSuffix(strings.Replace(arn, ":listener/", ":loadbalancer/", 1), "/"+of[2])
	l, err := op.readLoadBalancer(above)
	if err != nil && !isCode(err, "LoadBalancerNotFound") {
		return nil, nil, err
	}
	if err == nil {
		if i := slices.IndexFunc(l.Listeners, func(one elbv2.Listener) bool { return one.ID == of[2] }); i >= 0 {
			return l, &l.Listeners[i], nil
		}
	}
	return nil, nil, aws.Errorf("ListenerNotFound", "One or more listeners not found: %s", arn)
}

// below names a listener or its rule: kind and ids below the ARN of its load balancer.
func below(l *elbv2.LoadBalancer, kind string, ids ...string) string {
	return strings.Replace(l.ARN, ":loadbalancer/", ":"+kind+"/", 1) + "/" + strings.Join(ids, "/")
}

func listenerARN(l *elbv2.LoadBalancer, listener *elbv2.Listener) string {
	return below(l, "listener", listener.ID)
}

func ruleARN(l *elbv2.LoadBalancer, listener *elbv2.Listener) string {
	return below(l, "listener-rule", listener.ID, listener.RuleID)
}

// CreateListener makes a listener on a port of a load balancer. A repeated request with the same settings answers like the
// first.
func (op *call) CreateListener(in *elbv2.CreateListenerRequest) (*elbv2.ListenersResponse, error) {
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	l, err := op.readLoadBalancer(in.LoadBalancerARN)
	if err != nil {
		return nil, cmp.Or(op.May(in.LoadBalancerARN, nil), err)
	}
	if err := op.MayCreate(l.ARN, tags, "AddTags"); err != nil {
		return nil, err
	}
	if in.Protocol == "" || in.Port == 0 {
		return nil, aws.Errorf(codeValidation, "A listener protocol and port must be specified")
	}
	listener := elbv2.Listener{ID: op.newID(), RuleID: op.newID(), Tags: tags}
	taken := slices.IndexFunc(l.Listeners, func(one elbv2.Listener) bool { return one.Port == in.Port })
	if taken >= 0 { // all but its settings stays
		same := l.Listeners[taken]
		listener = elbv2.Listener{ID: same.ID, RuleID: same.RuleID, Attributes: same.Attributes, Tags: same.Tags}
	}
	if err := op.change(l, &listener, in.ListenerSettings, in.DefaultActions); err != nil {
		return nil, err
	}
	switch {
	case taken < 0:
		l.Listeners = append(l.Listeners, listener)
		if err := op.Quotas.Room(elbv2.QuotaListeners, len(l.Listeners)); err != nil {
			return nil, err
		}
	case !reflect.DeepEqual(listener, l.Listeners[taken]):
		return nil, duplicateListener(in.Port)
	}
	return op.putListener(l, listener.ID)
}

func duplicateListener(port int32) error {
	return aws.Errorf("DuplicateListener", "A listener already exists on port %d of this load balancer", port)
}

// ModifyListener changes what the request has of a listener.
func (op *call) ModifyListener(in *elbv2.ModifyListenerRequest) (*elbv2.ListenersResponse, error) {
	l, listener, err := op.listener(in.ARN)
	if err != nil {
		return nil, err
	}
	if err := op.change(l, listener, in.ListenerSettings, in.DefaultActions); err != nil {
		return nil, err
	}
	return op.putListener(l, listener.ID)
}

// putListener writes a load balancer of which a listener has changed, and answers with that.
func (op *call) putListener(l *elbv2.LoadBalancer, id string) (*elbv2.ListenersResponse, error) {
	slices.SortFunc(l.Listeners, func(a, b elbv2.Listener) int { return cmp.Compare(a.Port, b.Port) })
	i := slices.IndexFunc(l.Listeners, func(one elbv2.Listener) bool { return one.ID == id })
	description, err := op.describeListener(l, &l.Listeners[i])
	if err != nil {
		return nil, err
	}
	return &elbv2.ListenersResponse{Listeners: aws.Members[elbv2.ListenerDescription]{description}}, op.putLoadBalancer(l)
}

// change gives a listener those settings and actions that are given, and checks that it can be served then.
func (op *call) change(l *elbv2.LoadBalancer, listener *elbv2.Listener, s elbv2.ListenerSettings, actions []elbv2.ActionDescription) (err error) {
	listener.Protocol = cmp.Or(lattice.Protocol(s.Protocol), listener.Protocol)
	listener.Port = cmp.Or(s.Port, listener.Port)
	listener.SSLPolicy = cmp.Or(s.SSLPolicy, listener.SSLPolicy)
	if len(s.Certificates) > 0 {
		listener.Certificate = s.Certificates[0].ARN
	}
	taken := slices.ContainsFunc(l.Listeners, func(one elbv2.Listener) bool { return one.Port == listener.Port && one.ID != listener.ID })
	switch {
	case taken:
		return duplicateListener(listener.Port)
	case len(s.ALPNPolicy) > 0:
		return aws.Errorf(codeConfiguration, "An ALPN policy can only be set on TLS listeners of network load balancers")
	case s.MutualAuthentication != nil && s.MutualAuthentication.Mode != "off":
		return aws.Errorf(codeConfiguration, "Clients' certificates are not asked for here; leave mutual authentication off")
	}
	if err := op.checkProtocol(listener, s); err != nil {
		return err
	}
	if len(actions) > 0 {
		listener.Action, err = op.action(l, actions)
	}
	return err
}

// checkProtocol checks that a listener has what its protocol needs, and nothing of another's.
func (op *call) checkProtocol(listener *elbv2.Listener, s elbv2.ListenerSettings) error {
	switch listener.Protocol {
	case lattice.ProtocolHTTP:
		if s.SSLPolicy != "" || len(s.Certificates) > 0 {
			return aws.Errorf(codeConfiguration, "Certificates and SSL policies cannot be set on HTTP listeners")
		}
		listener.Certificate, listener.SSLPolicy = "", ""
	case lattice.ProtocolHTTPS:
		if err := op.admitCertificate(listener.Certificate); err != nil {
			return err
		}
		listener.SSLPolicy = cmp.Or(listener.SSLPolicy, defaultSSLPolicy)
		if !sslPolicyName.MatchString(listener.SSLPolicy) {
			return aws.Errorf("SSLPolicyNotFound", "SSL policy '%.100s' not found; their names are like %s", listener.SSLPolicy, defaultSSLPolicy)
		}
	default:
		return aws.Errorf("UnsupportedProtocol", "The protocol '%s' is not supported by application load balancers; use HTTP or HTTPS", listener.Protocol)
	}
	return nil
}

// admitCertificate checks that a listener may use a certificate: it must be one of the account's own, in the region. Its
// names do not matter.
func (op *call) admitCertificate(arn string) error {
	if arn == "" {
		return aws.Errorf(codeValidation, "A certificate must be specified for HTTPS listeners")
	}
	id, ok := acm.ID(arn, op.Region)
	if !ok || lattice.AccountOf(arn) != op.Account {
		return aws.Errorf(codeNoCertificate, "Certificate '%s' not found: it must be one of ACM in this account, in %s",
			arn, op.Region)
	}
	_, err := certificateObjects.Get(op.Tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return aws.Errorf(codeNoCertificate, "Certificate '%s' not found", arn)
	}
	return err
}

func (op *call) describeListener(l *elbv2.LoadBalancer, listener *elbv2.Listener) (elbv2.ListenerDescription, error) {
	d := elbv2.ListenerDescription{
		ARN: listenerARN(l, listener), LoadBalancerARN: l.ARN, Port: listener.Port, Protocol: listener.Protocol, SSLPolicy: listener.SSLPolicy,
	}
	if listener.Protocol == lattice.ProtocolHTTPS {
		d.Certificates = aws.Members[elbv2.Certificate]{{ARN: listener.Certificate}}
		d.MutualAuthentication = &elbv2.MutualAuthentication{Mode: "off"}
	}
	action, err := op.describeAction(listener.Action)
	d.DefaultActions = aws.Members[elbv2.ActionDescription]{action}
	return d, err
}

// DescribeListeners lists the listeners of a load balancer, or those of some ARNs.
func (op *call) DescribeListeners(in *elbv2.DescribeListenersRequest) (*elbv2.ListenersResponse, error) {
	var all []elbv2.ListenerDescription
	add := func(l *elbv2.LoadBalancer, listener *elbv2.Listener) error {
		description, err := op.describeListener(l, listener)
		all = append(all, description)
		return err
	}
	switch {
	case (in.LoadBalancerARN == "") == (len(in.ARNs) == 0):
		return nil, aws.Errorf(codeValidation, "You must specify either listener ARNs or a load balancer ARN")
	case in.LoadBalancerARN != "":
		l, err := op.readLoadBalancer(in.LoadBalancerARN)
		if err != nil {
			return nil, err
		}
		for i := range l.Listeners {
			if err := add(l, &l.Listeners[i]); err != nil {
				return nil, err
			}
		}
	}
	for _, arn := range in.ARNs {
		l, listener, err := op.readListener(arn)
		if err != nil {
			return nil, err
		}
		if err := add(l, listener); err != nil {
			return nil, err
		}
	}
	id := func(d elbv2.ListenerDescription) string { return d.ARN }
	slices.SortFunc(all, func(a, b elbv2.ListenerDescription) int { return cmp.Compare(id(a), id(b)) })
	answer := &elbv2.ListenersResponse{}
	answer.Listeners, answer.NextMarker = page(all, id, in.Page)
	return answer, nil
}

// DeleteListener deletes a listener. One that does not exist is an error, as in AWS.
func (op *call) DeleteListener(in *elbv2.ListenerRequest) (*elbv2.Empty, error) {
	l, listener, err := op.listener(in.ARN)
	if err != nil {
		return nil, err
	}
	id := listener.ID
	l.Listeners = slices.DeleteFunc(l.Listeners, func(one elbv2.Listener) bool { return one.ID == id })
	return &elbv2.Empty{}, op.putLoadBalancer(l)
}

// DescribeListenerCertificates lists the one certificate that an HTTPS listener has.
func (op *call) DescribeListenerCertificates(
	in *elbv2.DescribeListenerCertificatesRequest) (*elbv2.ListenerCertificatesResponse, error) {
	_, listener, err := op.readListener(in.ARN)
	if err != nil {
		return nil, err
	}
	answer := &elbv2.ListenerCertificatesResponse{}
	if listener.Certificate != "" {
		answer.Certificates = aws.Members[elbv2.Certificate]{{ARN: listener.Certificate, IsDefault: true}}
	}
	return answer, nil
}

// DescribeRules lists the default rule of a listener, which is all that a listener has, or of some ARNs.
func (op *call) DescribeRules(in *elbv2.DescribeRulesRequest) (*elbv2.RulesResponse, error) {
	if (in.ListenerARN == "") == (len(in.ARNs) == 0) {
		return nil, aws.Errorf(codeValidation, "You must specify either listener rule ARNs or a listener ARN")
	}
	answer := &elbv2.RulesResponse{}
	if in.ListenerARN != "" {
		l, listener, err := op.readListener(in.ListenerARN)
		if err != nil {
			return nil, err
		}
		return answer, op.addRule(answer, l, listener)
	}
	for _, arn := range in.ARNs {
		l, listener, err := op.readRule(arn)
		if err != nil {
			return nil, err
		}
		if err := op.addRule(answer, l, listener); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// readRule reads the listener whose default rule an ARN names.
func (op *call) readRule(arn string) (*elbv2.LoadBalancer, *elbv2.Listener, error) {
	of, ok := parts(arn, "listener-rule/app", 4)
	if !ok {
		return nil, nil, aws.Errorf(codeValidation, "'%s' is not a valid listener rule ARN", arn)
	}
	above := strings.TrimSuffix(strings.Replace(arn, ":listener-rule/", ":listener/", 1), "/"+of[3])
	l, listener, err := op.readListener(above)
	if err != nil && !isCode(err, "ListenerNotFound") {
		return nil, nil, err
	}
	if err != nil || listener.RuleID != of[3] {
		return nil, nil, aws.Errorf("RuleNotFound", "One or more rules not found: %s", arn)
	}
	return l, listener, nil
}

func (op *call) addRule(to *elbv2.RulesResponse, l *elbv2.LoadBalancer, listener *elbv2.Listener) error {
	action, err := op.describeAction(listener.Action)
	to.Rules = append(to.Rules, elbv2.RuleDescription{
		ARN: ruleARN(l, listener), Priority: "default", Actions: aws.Members[elbv2.ActionDescription]{action}, IsDefault: true,
	})
	return err
}
