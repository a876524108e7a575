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
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// defaultSSLPolicy is the security policy of HTTPS listeners that name none (API reference, CreateListener).
const defaultSSLPolicy = "ELBSecurityPolicy-2016-08"

// sslPolicyName is what the names of all security policies look like (user guide for Application Load Balancers, "Security
// policies").
var sslPolicyName = regexp.MustCompile(`^ELBSecurityPolicy-[A-Za-z0-9-]{1,64}$`)

// How the resource in the ARN of a listener begins, and that of a rule: what follows is the name and the id of the load
// balancer, and their own ids.
const (
	listenerPrefix = "listener/app"
	rulePrefix     = "listener-rule/app"
)

// listening is a listener with its load balancer, whose own it is.
type listening struct {
	*elbv2.Listener
	on *elbv2.LoadBalancer
}

// above is the ARN of what a listener or a rule is part of.
func above(arn, prefix, parent string) string {
	return strings.Replace(arn[:strings.LastIndexByte(arn, '/')], ":"+prefix+"/", ":"+parent+"/", 1)
}

// findListener reads the listener that an operation is about, if the caller may perform it on that.
func (op *call) findListener(arn string) (*listening, error) {
	l, err := op.readListener(arn)
	if err != nil {
		return nil, cmp.Or(op.May(arn, nil), err)
	}
	return l, op.May(arn, l.Tags)
}

func (op *call) readListener(arn string) (*listening, error) {
	of, ok := parts(arn, listenerPrefix, 3)
	if !ok {
		return nil, malformed("listener", arn)
	}
	on, err := loadBalancers.read(op, above(arn, listenerPrefix, loadBalancers.prefix))
	if err != nil && !isCode(err, codeNoLoadBalancer) {
		return nil, err
	}
	if err == nil {
		if i := slices.IndexFunc(on.Listeners, func(one elbv2.Listener) bool { return one.ID == of[2] }); i >= 0 {
			return &listening{&on.Listeners[i], on}, nil
		}
	}
	return nil, notFound(codeNoListener, "listeners", arn)
}

// readRule reads the listener whose default rule an ARN names.
func (op *call) readRule(arn string) (*listening, error) {
	of, ok := parts(arn, rulePrefix, 4)
	if !ok {
		return nil, malformed("listener rule", arn)
	}
	l, err := op.readListener(above(arn, rulePrefix, listenerPrefix))
	if err != nil && !isCode(err, codeNoListener) {
		return nil, err
	}
	if err != nil || l.RuleID != of[3] {
		return nil, notFound("RuleNotFound", "rules", arn)
	}
	return l, nil
}

// listenerSubject reads a listener as a subject.
func listenerSubject(op *call, arn string) (*subject, error) {
	l, err := op.readListener(arn)
	if err != nil {
		return nil, err
	}
	put := func() error { return loadBalancers.Put(op.Call, l.on) }
	return &subject{&l.Tags, &l.Attributes, elbv2.ListenerAttributes, put}, nil
}

// arn names a listener or its rule: what the prefix says, with ids below its load balancer.
func (l *listening) arn(prefix string, ids ...string) string {
	return strings.Replace(l.on.ARN, ":"+loadBalancers.prefix+"/", ":"+prefix+"/", 1) + "/" + strings.Join(ids, "/")
}

// CreateListener makes a listener on a port of a load balancer. A repeated request with the same settings answers like
// the first.
func (op *call) CreateListener(in *elbv2.CreateListenerRequest) (*elbv2.ListenersResponse, error) {
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	on, err := loadBalancers.read(op, in.LoadBalancerARN)
	if err != nil {
		return nil, cmp.Or(op.May(in.LoadBalancerARN, nil), err)
	}
	if err := op.MayCreate(on.ARN, tags, tagAction); err != nil {
		return nil, err
	}
	if in.Protocol == "" || in.Port == 0 {
		return nil, aws.Errorf(codeValidation, "A listener protocol and port must be specified")
	}
	listener := elbv2.Listener{ID: op.newID(), RuleID: op.newID(), Tags: tags}
	taken := slices.IndexFunc(on.Listeners, func(one elbv2.Listener) bool { return one.Port == in.Port })
	if taken >= 0 { // all but its settings stays
		same := on.Listeners[taken]
		listener = elbv2.Listener{ID: same.ID, RuleID: same.RuleID, Attributes: same.Attributes, Tags: same.Tags}
	}
	l := &listening{&listener, on}
	if err := op.change(l, in.ListenerSettings, in.DefaultActions); err != nil {
		return nil, err
	}
	switch {
	case taken < 0:
		on.Listeners = append(on.Listeners, listener)
		if err := op.Quotas.Room(elbv2.QuotaListeners, len(on.Listeners)); err != nil {
			return nil, err
		}
	case !reflect.DeepEqual(listener, on.Listeners[taken]):
		return nil, duplicateListener(in.Port)
	}
	return op.putListener(l)
}

func duplicateListener(port int32) error {
	return aws.Errorf("DuplicateListener", "A listener already exists on port %d of this load balancer", port)
}

// ModifyListener changes what the request has of a listener.
func (op *call) ModifyListener(in *elbv2.ModifyListenerRequest) (*elbv2.ListenersResponse, error) {
	l, err := op.findListener(in.ARN)
	if err != nil {
		return nil, err
	}
	if err := op.change(l, in.ListenerSettings, in.DefaultActions); err != nil {
		return nil, err
	}
	return op.putListener(l)
}

// putListener writes the load balancer of a listener that has changed, and answers with the listener.
func (op *call) putListener(l *listening) (*elbv2.ListenersResponse, error) {
	description, err := op.describeListener(l)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(l.on.Listeners, func(a, b elbv2.Listener) int { return cmp.Compare(a.Port, b.Port) })
	return &elbv2.ListenersResponse{Listeners: aws.Members[elbv2.ListenerDescription]{description}},
		loadBalancers.Put(op.Call, l.on)
}

// change gives a listener those settings and actions that are given, and checks that it can be served then.
func (op *call) change(l *listening, s elbv2.ListenerSettings, actions []elbv2.ActionDescription) (err error) {
	l.Protocol = cmp.Or(lattice.Protocol(s.Protocol), l.Protocol)
	l.Port = cmp.Or(s.Port, l.Port)
	l.SSLPolicy = cmp.Or(s.SSLPolicy, l.SSLPolicy)
	if len(s.Certificates) > 0 {
		l.Certificate = s.Certificates[0].ARN
	}
	taken := func(one elbv2.Listener) bool { return one.Port == l.Port && one.ID != l.ID }
	switch {
	case slices.ContainsFunc(l.on.Listeners, taken):
		return duplicateListener(l.Port)
	case len(s.ALPNPolicy) > 0:
		return aws.Errorf(codeConfiguration, "An ALPN policy can only be set on TLS listeners of network load balancers")
	case s.MutualAuthentication != nil && s.MutualAuthentication.Mode != "off":
		return aws.Errorf(codeConfiguration, "Clients' certificates are not asked for here; leave mutual authentication off")
	}
	if err := op.checkProtocol(l.Listener, s); err != nil {
		return err
	}
	if len(actions) > 0 {
		l.Action, err = op.action(l.on, actions)
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

func (op *call) describeListener(l *listening) (elbv2.ListenerDescription, error) {
	d := elbv2.ListenerDescription{
		ARN: l.arn(listenerPrefix, l.ID), LoadBalancerARN: l.on.ARN, Port: l.Port, Protocol: l.Protocol,
		SSLPolicy: l.SSLPolicy,
	}
	if l.Protocol == lattice.ProtocolHTTPS {
		d.Certificates = aws.Members[elbv2.Certificate]{{ARN: l.Certificate}}
		d.MutualAuthentication = &elbv2.MutualAuthentication{Mode: "off"}
	}
	action, err := op.describeAction(l.Action)
	d.DefaultActions = aws.Members[elbv2.ActionDescription]{action}
	return d, err
}

// DescribeListeners lists the listeners of a load balancer, or those of some ARNs.
func (op *call) DescribeListeners(in *elbv2.DescribeListenersRequest) (*elbv2.ListenersResponse, error) {
	if (in.LoadBalancerARN == "") == (len(in.ARNs) == 0) {
		return nil, aws.Errorf(codeValidation, "You must specify either listener ARNs or a load balancer ARN")
	}
	all, err := each(in.ARNs, op.readListener)
	if err != nil {
		return nil, err
	}
	if in.LoadBalancerARN != "" {
		on, err := loadBalancers.read(op, in.LoadBalancerARN)
		if err != nil {
			return nil, err
		}
		for i := range on.Listeners {
			all = append(all, &listening{&on.Listeners[i], on})
		}
	}
	arn := func(l *listening) string { return l.arn(listenerPrefix, l.ID) }
	answer := &elbv2.ListenersResponse{}
	all, answer.NextMarker = resource.Page(all, arn, in.Marker, int(in.PageSize))
	answer.Listeners, err = each(all, op.describeListener)
	return answer, err
}

// DeleteListener deletes a listener. One that does not exist is an error, as in AWS.
func (op *call) DeleteListener(in *elbv2.ListenerRequest) error {
	l, err := op.findListener(in.ARN)
	if err != nil {
		return err
	}
	id := l.ID // deleting moves the others to its place
	l.on.Listeners = slices.DeleteFunc(l.on.Listeners, func(one elbv2.Listener) bool { return one.ID == id })
	return loadBalancers.Put(op.Call, l.on)
}

// DescribeListenerCertificates lists the one certificate that an HTTPS listener has.
func (op *call) DescribeListenerCertificates(
	in *elbv2.DescribeListenerCertificatesRequest) (*elbv2.ListenerCertificatesResponse, error) {
	l, err := op.readListener(in.ARN)
	if err != nil {
		return nil, err
	}
	answer := &elbv2.ListenerCertificatesResponse{}
	if l.Certificate != "" {
		answer.Certificates = aws.Members[elbv2.Certificate]{{ARN: l.Certificate, IsDefault: true}}
	}
	return answer, nil
}

// DescribeRules lists the default rule of a listener, which is all that a listener has, or of some ARNs.
func (op *call) DescribeRules(in *elbv2.DescribeRulesRequest) (*elbv2.RulesResponse, error) {
	if (in.ListenerARN == "") == (len(in.ARNs) == 0) {
		return nil, aws.Errorf(codeValidation, "You must specify either listener rule ARNs or a listener ARN")
	}
	arns, read := in.ARNs, op.readRule
	if in.ListenerARN != "" {
		arns, read = []string{in.ListenerARN}, op.readListener
	}
	all, err := each(arns, read)
	if err != nil {
		return nil, err
	}
	rules, err := each(all, op.describeRule)
	return &elbv2.RulesResponse{Rules: rules}, err
}

func (op *call) describeRule(l *listening) (elbv2.RuleDescription, error) {
	action, err := op.describeAction(l.Action)
	return elbv2.RuleDescription{
		ARN: l.arn(rulePrefix, l.ID, l.RuleID), Priority: "default",
		Actions: aws.Members[elbv2.ActionDescription]{action}, IsDefault: true,
	}, err
}
