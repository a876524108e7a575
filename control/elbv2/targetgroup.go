package elbv2

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	resources "pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/lattice"
	"pergola/store"
)

var vpcs = store.NewKind[resources.VPC](resources.KindVPC)

// trafficPort is how a health check says that it uses the port on which a target receives requests.
const trafficPort = "traffic-port"

// defaultCheck is the health check of a target group that says nothing of it (API reference, CreateTargetGroup).
var defaultCheck = elbv2.HealthCheck{
	Protocol: lattice.TargetHTTP, Path: "/", IntervalSeconds: 30, TimeoutSeconds: 6, HealthyThreshold: 5, UnhealthyThreshold: 2, Codes: "200",
}

// defaultHTTPSTimeout is its timeout, in seconds, where the target group speaks HTTPS.
const defaultHTTPSTimeout = 10

// usersOf are the load balancers that forward to a target group. The account's are read once for an operation.
func (op *call) usersOf(g *elbv2.TargetGroup) (users []*elbv2.LoadBalancer, err error) {
	if op.balancers == nil {
		if op.balancers, err = loadBalancers.All(op.Tx, op.Account); err != nil {
			return nil, err
		}
	}
	for _, l := range op.balancers {
		if l.ForwardsTo(g.ID) {
			users = append(users, l)
		}
	}
	return users, nil
}

// CreateTargetGroup makes a target group without targets. A repeated request with the same settings answers like the
// first.
func (op *call) CreateTargetGroup(in *elbv2.CreateTargetGroupRequest) (*elbv2.TargetGroupsResponse, error) {
	if err := checkGroup(in); err != nil {
		return nil, err
	}
	wanted := &elbv2.TargetGroup{
		Name: in.Name, VPC: in.VPCID, Type: cmp.Or(in.TargetType, elbv2.TargetInstance),
		Protocol: lattice.TargetProtocol(in.Protocol), Port: in.Port, HealthCheck: defaultCheck,
	}
	if wanted.Protocol == lattice.TargetHTTPS {
		wanted.HealthCheck.TimeoutSeconds = defaultHTTPSTimeout
	}
	if err := changeCheck(&wanted.HealthCheck, in.HealthCheckSettings); err != nil {
		return nil, err
	}
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := op.MayCreate(targetGroups.arn(op, in.Name, "*"), tags, tagAction); err != nil {
		return nil, err
	}
	if err := op.findVPC(in.VPCID); err != nil {
		return nil, err
	}
	g, err := targetGroups.named(op, in.Name)
	switch {
	case err != nil:
	case g == nil:
		wanted.Tags = tags
		g, err = op.newTargetGroup(wanted)
	case !hasSettings(g, wanted):
		err = aws.Errorf("DuplicateTargetGroupName",
			"A target group with the same name '%s' exists, but with different settings", in.Name)
	}
	if err != nil {
		return nil, err
	}
	return op.answerGroup(g)
}

// hasSettings reports whether a target group is as another one that has settings alone.
func hasSettings(g *elbv2.TargetGroup, wanted *elbv2.TargetGroup) bool {
	return reflect.DeepEqual(wanted, &elbv2.TargetGroup{
		Name: g.Name, VPC: g.VPC, Type: g.Type, Protocol: g.Protocol, Port: g.Port, HealthCheck: g.HealthCheck,
	})
}

// newTargetGroup writes a new target group.
func (op *call) newTargetGroup(g *elbv2.TargetGroup) (*elbv2.TargetGroup, error) {
	if err := op.RoomFor(elbv2.QuotaTargetGroups, targetGroups.Count, 1); err != nil {
		return nil, err
	}
	g.ID, g.Account = op.newID(), op.Account
	g.ARN = targetGroups.arn(op, g.Name, g.ID)
	return g, targetGroups.Add(op.Call, g)
}

// answerGroup is the answer of an operation about one target group.
func (op *call) answerGroup(g *elbv2.TargetGroup) (*elbv2.TargetGroupsResponse, error) {
	description, err := op.describeGroup(g)
	return &elbv2.TargetGroupsResponse{TargetGroups: aws.Members[elbv2.TargetGroupDescription]{description}}, err
}

// checkGroup refuses target groups that are not made here.
func checkGroup(in *elbv2.CreateTargetGroupRequest) error {
	if err := checkName("target group", in.Name); err != nil {
		return err
	}
	switch {
	case in.TargetType == "lambda" || in.TargetType == "alb":
		return aws.Errorf(codeConfiguration, "Target groups of type '%s' are not made here; use instance or ip", in.TargetType)
	case in.Protocol == "":
		return aws.Errorf(codeValidation, "A protocol must be specified")
	case in.Protocol != "HTTP" && in.Protocol != "HTTPS":
		return aws.Errorf(codeConfiguration, "Target groups with protocol '%s' are of no use to application load balancers; use HTTP or HTTPS", in.Protocol)
	case in.ProtocolVersion != "" && in.ProtocolVersion != string(lattice.HTTP1):
		return aws.Errorf(codeConfiguration, "Load balancers speak HTTP1 to their targets here; '%s' is not served", in.ProtocolVersion)
	case in.Port == 0:
		return aws.Errorf(codeValidation, "A port must be specified")
	case in.VPCID == "":
		return aws.Errorf(codeValidation, "A VPC ID must be specified")
	case in.IPAddressType == "ipv6":
		return aws.Errorf(codeConfiguration, "VPCs have IPv4 addresses only; use the IP address type ipv4")
	case in.ControlPort != 0:
		return aws.Errorf(codeConfiguration, "The target optimizer is not served here; leave out TargetControlPort")
	}
	return nil
}

// changeCheck gives a health check those settings that are given.
func changeCheck(h *elbv2.HealthCheck, s elbv2.HealthCheckSettings) error {
	switch {
	case s.Protocol != "" && s.Protocol != "HTTP" && s.Protocol != "HTTPS":
		return aws.Errorf(codeConfiguration, "Health checks by '%s' are not supported for target groups with protocol HTTP or HTTPS", s.Protocol)
	case s.Enabled != nil && !*s.Enabled:
		return aws.Errorf(codeConfiguration, "Health checks must be enabled for target groups of type instance and ip")
	case s.Matcher != nil && s.Matcher.GRPCCode != "":
		return aws.Errorf(codeConfiguration, "A matcher for gRPC codes needs the protocol version GRPC, which is not served here")
	}
	h.Protocol = cmp.Or(lattice.TargetProtocol(s.Protocol), h.Protocol)
	h.Path = cmp.Or(s.Path, h.Path)
	h.IntervalSeconds = cmp.Or(s.IntervalSeconds, h.IntervalSeconds)
	h.TimeoutSeconds = cmp.Or(s.TimeoutSeconds, h.TimeoutSeconds)
	h.HealthyThreshold = cmp.Or(s.HealthyThreshold, h.HealthyThreshold)
	h.UnhealthyThreshold = cmp.Or(s.UnhealthyThreshold, h.UnhealthyThreshold)
	if s.Matcher != nil && s.Matcher.HTTPCode != "" {
		if !areCodes(s.Matcher.HTTPCode) {
			return aws.Errorf(codeValidation, "Health check matcher '%s' must have status codes and ranges of them within 200-499", s.Matcher.HTTPCode)
		}
		h.Codes = s.Matcher.HTTPCode
	}
	if s.Port == trafficPort {
		h.Port = 0
	} else if s.Port != "" {
		port, err := strconv.ParseUint(s.Port, 10, 16)
		if err != nil || port == 0 {
			return aws.Errorf(codeValidation, "Health check port '%s' must be 'traffic-port' or from 1 to 65535", s.Port)
		}
		h.Port = int32(port)
	}
	// An interval below the default may come without a timeout, which then has to fit.
	if s.TimeoutSeconds == 0 && h.TimeoutSeconds > h.IntervalSeconds {
		h.TimeoutSeconds = h.IntervalSeconds
	}
	if h.TimeoutSeconds > h.IntervalSeconds {
		return aws.Errorf(codeValidation, "Health check timeout '%d' must not be longer than the interval '%d'", h.TimeoutSeconds, h.IntervalSeconds)
	}
	return nil
}

// The status codes that may mean health (API reference, Matcher).
const lowestCode, highestCode = 200, 499

// areCodes reports whether a matcher can be read: "200", "200,202", "200-299" and so on.
func areCodes(matcher string) bool {
	for part := range strings.SplitSeq(matcher, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || from < lowestCode || to > highestCode || from > to {
			return false
		}
	}
	return true
}

func (op *call) findVPC(id string) error {
	vpc, err := vpcs.Get(op.Tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && vpc.Account != op.Account {
		return aws.Errorf(codeValidation, "The VPC ID '%s' is not found", id)
	}
	return err
}

func (op *call) describeGroup(g *elbv2.TargetGroup) (elbv2.TargetGroupDescription, error) {
	h := g.HealthCheck
	d := elbv2.TargetGroupDescription{
		ARN: g.ARN, Name: g.Name, Protocol: g.Protocol, Port: g.Port, VPCID: g.VPC,
		CheckProtocol: h.Protocol, CheckPort: portOf(h), CheckEnabled: true, IntervalSeconds: h.IntervalSeconds, TimeoutSeconds: h.TimeoutSeconds,
		HealthyThreshold: h.HealthyThreshold, UnhealthyThreshold: h.UnhealthyThreshold, Path: h.Path, Matcher: elbv2.CodesMatcher{HTTPCode: h.Codes},
		TargetType: g.Type, ProtocolVersion: string(lattice.HTTP1), IPAddressType: "ipv4",
	}
	users, err := op.usersOf(g)
	for _, l := range users {
		d.LoadBalancerARNs = append(d.LoadBalancerARNs, l.ARN)
	}
	return d, err
}

func portOf(h elbv2.HealthCheck) string {
	if h.Port == 0 {
		return trafficPort
	}
	return strconv.Itoa(int(h.Port))
}

// DescribeTargetGroups lists target groups: those of some ARNs or names, which must all exist, those that a load
// balancer forwards to, or all.
func (op *call) DescribeTargetGroups(in *elbv2.DescribeTargetGroupsRequest) (*elbv2.TargetGroupsResponse, error) {
	wanted, err := targetGroups.wanted(op, in.ARNs, in.Names)
	if err != nil {
		return nil, err
	}
	if in.LoadBalancerARN != "" {
		user, err := loadBalancers.read(op, in.LoadBalancerARN)
		if err != nil {
			return nil, err
		}
		wanted = slices.DeleteFunc(wanted, func(g *elbv2.TargetGroup) bool { return !user.ForwardsTo(g.ID) })
	}
	answer := &elbv2.TargetGroupsResponse{}
	wanted, answer.NextMarker = targetGroups.page(wanted, in.Page)
	answer.TargetGroups, err = each(wanted, op.describeGroup)
	return answer, err
}

// ModifyTargetGroup changes what the request has of a health check.
func (op *call) ModifyTargetGroup(in *elbv2.ModifyTargetGroupRequest) (*elbv2.TargetGroupsResponse, error) {
	g, err := targetGroups.find(op, in.ARN)
	if err != nil {
		return nil, err
	}
	if err := changeCheck(&g.HealthCheck, in.HealthCheckSettings); err != nil {
		return nil, err
	}
	if err := targetGroups.Put(op.Call, g); err != nil {
		return nil, err
	}
	return op.answerGroup(g)
}

// DeleteTargetGroup deletes a target group that no load balancer forwards to, with its targets. One that does not exist
// is deleted already.
func (op *call) DeleteTargetGroup(in *elbv2.TargetGroupRequest) error {
	g, err := targetGroups.find(op, in.ARN)
	switch {
	case isCode(err, codeNoTargetGroup):
		return nil
	case err != nil:
		return err
	}
	users, err := op.usersOf(g)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return aws.Errorf("ResourceInUse", "Target group '%s' is currently in use by a listener of '%s'", g.ARN, users[0].ARN)
	}
	targetGroups.Delete(op.Tx, g)
	return nil
}
