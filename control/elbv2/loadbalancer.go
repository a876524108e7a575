package elbv2

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"pergola/aws"
	"pergola/aws/acm"
	resources "pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/control/ec2"
	"pergola/lattice"
	"pergola/store"
)

// certificateObjects are the certificates of listeners, which are only read here.
var certificateObjects = store.NewKind[acm.Certificate](acm.KindCertificate)

// maxSecurityGroups is how many security groups a load balancer may be in (VPC user guide, "Amazon VPC quotas").
const maxSecurityGroups = 5

// resident is a load balancer as EC2 knows it.
func resident(l *elbv2.LoadBalancer) ec2.Resident {
	return ec2.Resident{ID: "elb-" + l.ID, SecurityGroups: l.SecurityGroups}
}

// CreateLoadBalancer makes an internal Application Load Balancer with an address in each of some subnets. A repeated
// request with the same settings answers like the first.
func (op *call) CreateLoadBalancer(in *elbv2.CreateLoadBalancerRequest) (*elbv2.LoadBalancersResponse, error) {
	ids, err := checkCreation(in)
	if err != nil {
		return nil, err
	}
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := op.MayCreate(loadBalancers.arn(op, in.Name, "*"), tags, tagAction); err != nil {
		return nil, err
	}
	subnets, err := op.subnets(ids)
	if err != nil {
		return nil, err
	}
	groups, err := op.securityGroups(subnets[0].VPC, in.SecurityGroups)
	if err != nil {
		return nil, err
	}
	l, err := loadBalancers.named(op, in.Name)
	switch {
	case err != nil:
	case l == nil:
		l, err = op.newLoadBalancer(&elbv2.LoadBalancer{Name: in.Name, SecurityGroups: groups, Tags: tags}, subnets)
	case !isIn(l, subnets, groups):
		err = aws.Errorf("DuplicateLoadBalancerName",
			"A load balancer with the same name '%s' exists, but with different settings", in.Name)
	}
	if err != nil {
		return nil, err
	}
	return &elbv2.LoadBalancersResponse{LoadBalancers: aws.Members[elbv2.LoadBalancerDescription]{
		describeLoadBalancer(l)}}, nil
}

// checkCreation refuses what is not made here, and returns the ids of the subnets.
func checkCreation(in *elbv2.CreateLoadBalancerRequest) ([]string, error) {
	if err := checkName("load balancer", in.Name); err != nil {
		return nil, err
	}
	ids := in.Subnets
	for _, mapping := range in.SubnetMappings {
		if mapping.AllocationID != "" || mapping.PrivateAddress != "" || mapping.IPv6Address != "" {
			return nil, aws.Errorf(codeConfiguration, "An application load balancer's addresses cannot be chosen; leave all but SubnetId out of SubnetMappings")
		}
		ids = append(ids, mapping.SubnetID)
	}
	switch {
	case in.Kind != "" && in.Kind != "application":
		return nil, aws.Errorf(codeNotPermitted, "Load balancers of type '%s' are not made here; use the type application", in.Kind)
	case in.Scheme != "internal":
		return nil, aws.Errorf("InvalidScheme", "Internet-facing load balancers are not made here, since no VPC has an internet gateway; use the scheme internal")
	case in.IPAddressType != "" && in.IPAddressType != "ipv4":
		return nil, aws.Errorf(codeConfiguration, "Load balancers have IPv4 addresses only; use the IP address type ipv4")
	case in.CustomerPool != "":
		return nil, aws.Errorf(codeConfiguration, "An internal load balancer has no customer-owned addresses; leave out CustomerOwnedIpv4Pool")
	case len(in.Subnets) > 0 && len(in.SubnetMappings) > 0:
		return nil, aws.Errorf(codeValidation, "Either subnets or subnet mappings can be specified, not both")
	case len(ids) < 2:
		return nil, aws.Errorf(codeValidation, "At least two subnets in two different Availability Zones must be specified")
	}
	return ids, nil
}

// subnets reads the subnets of a new load balancer: in one VPC, each in another zone, in order of zone.
func (op *call) subnets(ids []string) ([]*resources.Subnet, error) {
	subnets, err := ec2.Subnets(op.Tx, op.Account, ids)
	if err != nil {
		return nil, recoded(err, "SubnetNotFound")
	}
	zones := map[string]bool{}
	for _, subnet := range subnets {
		switch {
		case subnet.VPC != subnets[0].VPC:
			return nil, aws.Errorf("InvalidSubnet", "The subnets %s and %s are in different VPCs", subnets[0].ID, subnet.ID)
		case zones[subnet.AvailabilityZone]:
			return nil, aws.Errorf(codeConfiguration, "A load balancer cannot be attached to multiple subnets in the same Availability Zone: %s is in %s too", subnet.ID, subnet.AvailabilityZone)
		}
		zones[subnet.AvailabilityZone] = true
	}
	slices.SortFunc(subnets, func(a, b *resources.Subnet) int { return cmp.Compare(a.AvailabilityZone, b.AvailabilityZone) })
	return subnets, nil
}

// securityGroups are the security groups that a load balancer joins: those asked for, or the VPC's default one.
func (op *call) securityGroups(vpc string, ids []string) ([]string, error) {
	if len(ids) == 0 {
		id, err := ec2.DefaultGroup(op.Tx, vpc)
		return []string{id}, err
	}
	if len(ids) > maxSecurityGroups {
		return nil, aws.Errorf(codeConfiguration, "A load balancer may be in %d security groups at most", maxSecurityGroups)
	}
	groups, err := ec2.SecurityGroups(op.Tx, op.Account, ids)
	if err != nil {
		return nil, recoded(err, "InvalidSecurityGroup")
	}
	for _, group := range groups {
		if group.VPC != vpc {
			return nil, aws.Errorf(codeConfiguration, "The security group %s is not in %s, the VPC of the load balancer", group.ID, vpc)
		}
	}
	return ids, nil
}

// isIn reports whether a load balancer has an address in each of some subnets, and is in some security groups.
func isIn(l *elbv2.LoadBalancer, subnets []*resources.Subnet, groups []string) bool {
	return slices.EqualFunc(l.Nodes, subnets, func(n elbv2.Node, s *resources.Subnet) bool { return n.Subnet == s.ID }) &&
		slices.Equal(slices.Sorted(slices.Values(l.SecurityGroups)), slices.Sorted(slices.Values(groups)))
}

// newLoadBalancer writes a new load balancer with an address in each of some subnets.
func (op *call) newLoadBalancer(l *elbv2.LoadBalancer, subnets []*resources.Subnet) (*elbv2.LoadBalancer, error) {
	if err := op.RoomFor(elbv2.QuotaLoadBalancers, loadBalancers.Count, 1); err != nil {
		return nil, err
	}
	l.ID, l.Account, l.VPC = op.newID(), op.Account, subnets[0].VPC
	l.ARN, l.DNSName = loadBalancers.arn(op, l.Name, l.ID), dnsName(l.Name, l.ID, op.Region)
	l.Status, l.CreatedAt = lattice.StatusCreateInProgress, op.Now().UTC()
	for _, subnet := range subnets {
		address, err := resident(l).MoveIn(op.Tx, subnet)
		if err != nil {
			return nil, recoded(err, "InvalidSubnet")
		}
		l.Nodes = append(l.Nodes, elbv2.Node{Subnet: subnet.ID, Zone: subnet.AvailabilityZone, Address: address})
	}
	return l, loadBalancers.Add(op.Call, l)
}

// dnsName is the name of an internal load balancer. The number in it is made of its id.
func dnsName(name, id, region string) string {
	number, err := strconv.ParseUint(id[:8], 16, 32)
	if err != nil {
		panic(fmt.Sprintf("elbv2: %q is no id: %v", id, err)) // ids are made here
	}
	return fmt.Sprintf("internal-%s-%d.%s", name, number, elbv2.DomainSuffix(region))
}

func describeLoadBalancer(l *elbv2.LoadBalancer) elbv2.LoadBalancerDescription {
	d := elbv2.LoadBalancerDescription{
		ARN: l.ARN, DNSName: l.DNSName, HostedZoneID: elbv2.HostedZone, Created: aws.Instant{Time: l.CreatedAt}, Name: l.Name,
		Scheme: "internal", VPCID: l.VPC, State: "provisioning", Type: "application",
		SecurityGroups: l.SecurityGroups, IPAddressType: "ipv4",
	}
	switch l.Status {
	case lattice.StatusActive:
		d.State = "active"
	case lattice.StatusUpdateFailed:
		d.State, d.Reason = "active_impaired", l.FailureMessage
	case lattice.StatusCreateFailed:
		d.State, d.Reason = "failed", l.FailureMessage
	}
	for _, node := range l.Nodes {
		d.Zones = append(d.Zones, elbv2.ZoneUse{Zone: node.Zone, SubnetID: node.Subnet})
	}
	return d
}

// DescribeLoadBalancers lists load balancers: those of some ARNs or names, which must all exist, or all there are.
func (op *call) DescribeLoadBalancers(in *elbv2.DescribeLoadBalancersRequest) (*elbv2.LoadBalancersResponse, error) {
	wanted, err := loadBalancers.wanted(op, in.ARNs, in.Names)
	if err != nil {
		return nil, err
	}
	answer := &elbv2.LoadBalancersResponse{}
	wanted, answer.NextMarker = loadBalancers.page(wanted, in.Page)
	for _, l := range wanted {
		answer.LoadBalancers = append(answer.LoadBalancers, describeLoadBalancer(l))
	}
	return answer, nil
}

// DeleteLoadBalancer deletes a load balancer with its listeners, unless it is protected. Its target groups stay. One
// that does not exist is deleted already.
func (op *call) DeleteLoadBalancer(in *elbv2.LoadBalancerRequest) error {
	l, err := loadBalancers.find(op, in.ARN)
	switch {
	case isCode(err, codeNoLoadBalancer):
		return nil
	case err != nil:
		return err
	case l.Attribute(elbv2.DeletionProtection) == "true":
		return aws.Errorf(codeNotPermitted, "Load balancer '%s' cannot be deleted because deletion "+
			"protection is enabled", l.ARN)
	}
	for _, node := range l.Nodes {
		resident(l).MoveOut(op.Tx, l.VPC, node.Subnet, node.Address)
	}
	loadBalancers.Delete(op.Tx, l)
	return nil
}

// SetSecurityGroups puts a load balancer into other security groups.
func (op *call) SetSecurityGroups(in *elbv2.SetSecurityGroupsRequest) (*elbv2.SetSecurityGroupsResponse, error) {
	l, err := loadBalancers.find(op, in.ARN)
	if err != nil {
		return nil, err
	}
	groups, err := op.securityGroups(l.VPC, in.SecurityGroups)
	if err != nil {
		return nil, err
	}
	if err := resident(l).Regroup(op.Tx, groups); err != nil {
		return nil, err
	}
	l.SecurityGroups = groups
	return &elbv2.SetSecurityGroupsResponse{SecurityGroupIDs: groups}, loadBalancers.Put(op.Call, l)
}

// DescribeCapacityReservation says that no capacity is reserved for a load balancer: it needs none.
func (op *call) DescribeCapacityReservation(in *elbv2.LoadBalancerRequest) (*elbv2.CapacityResponse, error) {
	_, err := loadBalancers.read(op, in.ARN)
	return &elbv2.CapacityResponse{}, err
}
