package ec2

import (
	"cmp"
	"encoding/base64"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/ownership"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// launches remembers which instances were launched with which idempotency token: by account and token, the digest of
// the request and the reservation, separated by a space. A token is good for as long as the instances are.
var launches = store.NewIndex("ec2-launch")

// userData is what instances may ask their metadata for, in Base64. A reservation has it once, so that many instances
// can be launched in one transaction.
var userData = store.NewKind[string](ec2.KindUserData)

func userDataOf(tx *store.Tx, i *ec2.Instance) (encoded string, err error) {
	encoded, err = userData.Get(tx, i.Reservation)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	return cmp.Or(i.UserData, encoded), nil
}

// defaultType is the type of an instance that was launched without one (API reference, RunInstances).
const defaultType = "m1.small"

// internalError is the reason of an instance that could not be made (EC2 API reference, StateReason).
const internalError = "Server.InternalError"

// RunInstances launches instances in a subnet. They are pending until the nodes have made them.
func (op *call) RunInstances(in *ec2.RunInstancesRequest) (*ec2.RunInstancesResponse, error) {
	launch, err := readLaunch(in)
	if err != nil {
		return nil, err
	}
	if err := op.mayLaunch(launch); err != nil {
		return nil, err
	}
	if in.ClientToken == "" {
		return op.launch(launch)
	}
	key, digest := launchKey(op.Account, in.ClientToken), resource.Digest(in)
	known, err := resource.Holder(op.Tx, launches, key)
	switch {
	case err != nil:
		return nil, err
	case known != "":
		return op.relaunch(known, digest)
	}
	answer, err := op.launch(launch)
	if err != nil {
		return nil, err
	}
	return answer, launches.Put(op.Tx, key, digest+" "+answer.ReservationID)
}

// mayLaunch asks whether the caller may launch instances of an image, each with a network interface. What they are launched
// into is asked about when it is read (EC2 user guide, "Example policies": launching instances).
func (op *call) mayLaunch(l launch) error {
	op.Set("ec2:InstanceType", l.instanceType)
	image := lattice.ARN{Service: "ec2", Region: op.Region, Resource: "image/" + l.ImageID}.String()
	return cmp.Or(op.MayCreate(instances.arn(op, "*"), l.tags, instances.Tagging), op.May(image, nil),
		op.May(op.arn("network-interface/*"), nil))
}

func launchKey(account, token string) string { return account + "/" + token }

// relaunch answers a request that has been carried out before.
func (op *call) relaunch(known, digest string) (*ec2.RunInstancesResponse, error) {
	before, reservation, _ := strings.Cut(known, " ")
	if before != digest {
		return nil, aws.Errorf("IdempotentParameterMismatch", "The client token was used before, with other parameters, for %s", reservation)
	}
	members, _, err := references.List(op.Tx, reservation+"/", "", 0)
	if err != nil {
		return nil, err
	}
	found, err := each(members, func(m store.Entry[string]) (*ec2.Instance, error) {
		return instances.read(op, lattice.IDOf(m.ID))
	})
	if err != nil {
		return nil, err
	}
	return op.describeReservation(found)
}

// launch is a request to launch instances, in its one form.
type launch struct {
	*ec2.RunInstancesRequest
	at            ec2.LaunchInterface
	least, wanted int
	instanceType  string
	options       ec2.MetadataOptions
	tags          map[string]string
}

// readLaunch checks what can be checked without looking.
func readLaunch(in *ec2.RunInstancesRequest) (launch, error) {
	l := launch{RunInstancesRequest: in, least: 1, wanted: 1, instanceType: in.Type}
	l.at = ec2.LaunchInterface{SubnetID: in.SubnetID, PrivateAddress: in.PrivateAddress, SecurityGroupIDs: in.SecurityGroupIDs}
	if len(in.NetworkInterfaces) > 0 {
		if in.SubnetID != "" || in.PrivateAddress != "" || len(in.SecurityGroupIDs) > 0 {
			return l, aws.Errorf("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID, address or security groups may not be specified on the same request")
		}
		l.at = in.NetworkInterfaces[0]
	}
	if in.MinCount != nil {
		l.least, l.wanted = int(*in.MinCount), int(*in.MinCount)
	}
	if in.MaxCount != nil {
		l.wanted = int(*in.MaxCount)
	}
	if l.instanceType == "" {
		l.instanceType = defaultType
	}
	if err := applyOptions(&l.options, in.MetadataOptions); err != nil {
		return l, err
	}
	if err := checkUserData(in.UserData); err != nil {
		return l, err
	}
	switch {
	case l.at.SubnetID == "":
		return l, noDefaultVPC()
	case l.wanted < l.least:
		return l, aws.Errorf("InvalidParameterValue", "The maximum count %d is less than the minimum count %d", l.wanted, l.least)
	case l.at.PrivateAddress != "" && l.wanted > 1:
		return l, aws.Errorf("InvalidParameterCombination", "A private IP address can only be given to a single instance")
	}
	var err error
	l.tags, err = instances.tagsOf(l.TagSpecification)
	return l, err
}

// checkUserData refuses user data that could not be served.
func checkUserData(encoded string) error {
	content, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err != nil:
		return aws.Errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	case len(content) > ec2.MaxUserData:
		return aws.Errorf("InvalidParameterValue", "User data is limited to %d bytes", ec2.MaxUserData)
	}
	return nil
}

// isIn refuses a placement that contradicts the subnet, which also says the zone.
func isIn(p ec2.Placement, subnet *ec2.Subnet) error {
	if p.AvailabilityZone != "" && p.AvailabilityZone != subnet.AvailabilityZone {
		return aws.Errorf("InvalidParameterValue", "The availability zone '%s' is not that of the subnet '%s', which is '%s'",
			p.AvailabilityZone, subnet.ID, subnet.AvailabilityZone)
	}
	return nil
}

func (op *call) launch(l launch) (*ec2.RunInstancesResponse, error) {
	subnet, err := subnets.find(op, l.at.SubnetID)
	if err != nil {
		return nil, err
	}
	if err := isIn(l.Placement, subnet); err != nil {
		return nil, err
	}
	members, err := op.groupsOf(l.at.SecurityGroupIDs, subnet.VPC, subnet.ID)
	if err != nil {
		return nil, err
	}
	free, err := op.addressesFor(l, subnet)
	if err != nil {
		return nil, err
	}
	if err := op.roomFor(ec2.QuotaInstances, runningOf, len(free)); err != nil {
		return nil, err
	}
	profile, err := op.profile(l.Profile)
	if err != nil {
		return nil, err
	}
	reservation, now := op.newID("r-"), op.Now().UTC()
	var launched []*ec2.Instance
	for index, address := range free {
		instance := &ec2.Instance{
			ID: op.newID(instances.prefix), Account: op.Account, Reservation: reservation, Index: index,
			VPC: subnet.VPC, Subnet: subnet.ID, Address: address, SecurityGroups: members,
			ImageID: l.ImageID, Type: l.instanceType, Launched: now,
			Stage: lattice.Stage{Status: lattice.StatusCreateInProgress},
			Tags:  l.tags, ClientToken: l.ClientToken, Profile: op.associate(profile), MetadataOptions: l.options,
		}
		if err := instances.Add(op.Call, instance); err != nil {
			return nil, err
		}
		launched = append(launched, instance)
	}
	if l.UserData != "" {
		if err := userData.Put(op.Tx, reservation, l.UserData); err != nil {
			return nil, err
		}
	}
	return op.describeReservation(launched)
}

// groupsOf are the security groups that instances of a subnet join: those asked for, or the VPC's default one.
func (op *call) groupsOf(wanted []string, vpc, subnet string) ([]string, error) {
	if err := op.Quotas.Room(ec2.QuotaGroups, len(wanted)); err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		id, err := DefaultGroup(op.Tx, vpc)
		if err != nil {
			return nil, err
		}
		wanted = []string{id}
	}
	for _, id := range wanted {
		group, err := groups.find(op, id)
		if err != nil {
			return nil, err
		}
		if group.VPC != vpc {
			return nil, aws.Errorf("InvalidParameter", "Security group %s and subnet %s belong to different networks.",
				id, subnet)
		}
	}
	return wanted, nil
}

// addressesFor are the addresses of the instances to launch, which also say how many there will be.
func (op *call) addressesFor(l launch, subnet *ec2.Subnet) ([]netip.Addr, error) {
	if l.at.PrivateAddress != "" {
		address, err := wanted(op.Tx, subnet, l.at.PrivateAddress)
		return []netip.Addr{address}, err
	}
	free, err := free(op.Tx, subnet, l.wanted)
	if err == nil && len(free) < l.least {
		return nil, aws.Errorf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", subnet.ID)
	}
	return free, err
}

// runningOf is how many instances an account has that are not terminated. They refer to it.
func runningOf(tx *store.Tx, account string) (int, error) {
	return references.Count(tx, account+"/"+instances.prefix)
}

// holdsOfInstance are the instance's place in its reservation, its address, and what it refers to, its account among
// that. A terminated instance has the first alone.
func holdsOfInstance(i *ec2.Instance) []resource.Hold {
	holds := refersTo(i.ID, i.Reservation)
	if i.State() == ec2.InstanceTerminated {
		return holds
	}
	holds = append(holds, refersTo(i.ID, append([]string{i.Account, i.Subnet}, i.SecurityGroups...)...)...)
	return append(holds, resource.Hold{Index: addresses, Key: i.VPC + "/" + i.Address.String(), Value: i.ID})
}

// completeReservations writes the references of instances to their reservations, unless it has been done.
var completeReservations = ownership.Once(references, "reservation/complete",
	ownership.Each(instances.Objects, func(tx *store.Tx, i *ec2.Instance) error { return refer(tx, i.ID, i.Reservation) }))

// describeReservation describes instances of one reservation, which must not be empty.
func (op *call) describeReservation(members []*ec2.Instance) (*ec2.Reservation, error) {
	if len(members) == 0 {
		return nil, aws.Errorf("InvalidInstanceID.NotFound", "The instances that were launched with this client token do not exist any more")
	}
	slices.SortFunc(members, func(a, b *ec2.Instance) int { return a.Index - b.Index })
	described, err := each(members, op.describeInstance)
	return &ec2.Reservation{ReservationID: members[0].Reservation, OwnerID: members[0].Account, Instances: described}, err
}

func (op *call) describeInstance(i *ec2.Instance) (ec2.InstanceDescription, error) {
	d := ec2.InstanceDescription{
		ID: i.ID, ImageID: i.ImageID, State: i.State().Describe(), Type: i.Type, LaunchTime: ec2.Instant{Time: i.Launched},
		LaunchIndex: i.Index, Tenancy: "default", Monitoring: "disabled", SourceDestCheck: true,
		Architecture: ec2.Architecture, RootDeviceType: rootDeviceType, ClientToken: i.ClientToken, Tags: sortedTags(i.Tags),
	}
	if i.FailureMessage != "" {
		d.StateReason = &ec2.StateReason{Code: internalError, Message: internalError + ": " + i.FailureMessage}
	}
	if i.State() == ec2.InstanceTerminated {
		return d, nil // what it had may be gone or belong to another by now
	}
	subnet, err := subnets.read(op, i.Subnet)
	if err != nil {
		return d, err
	}
	d.Groups, err = each(i.SecurityGroups, func(id string) (ec2.GroupName, error) {
		group, err := groups.read(op, id)
		if err != nil {
			return ec2.GroupName{}, err
		}
		return ec2.GroupName{ID: id, Name: group.Name}, nil
	})
	if err != nil {
		return d, err
	}
	d.AvailabilityZone, d.SubnetID, d.VPCID = subnet.AvailabilityZone, i.Subnet, i.VPC
	d.PrivateAddress, d.PrivateDNSName = i.Address.String(), i.PrivateName(op.Region)
	d.NetworkInterfaces = ec2.Set[ec2.InstanceInterface]{{
		ID: interfaceID(i.ID), SubnetID: i.Subnet, VPCID: i.VPC, OwnerID: i.Account, Status: "in-use",
		PrivateAddress: d.PrivateAddress, MAC: i.MAC().String(), SourceDestCheck: true, Attached: "attached", Groups: d.Groups,
	}}
	if i.Profile != nil {
		profile := i.Profile.Describe()
		d.Profile = &profile
	}
	options := i.MetadataOptions.Describe("applied")
	d.MetadataOptions = &options
	return d, nil
}

func instanceAttributes(op *call, i *ec2.Instance) map[string][]string {
	attributes := map[string][]string{
		"instance-id": {i.ID}, "reservation-id": {i.Reservation}, "owner-id": {i.Account}, "image-id": {i.ImageID},
		"instance-type": {i.Type}, "client-token": {i.ClientToken}, "launch-time": {lattice.Time{Time: i.Launched}.UTC().Format("2006-01-02T15:04:05.000Z")},
		"instance-state-name": {string(i.State())}, "instance-state-code": {strconv.Itoa(i.State().Code())},
		"state-reason-code": nil,
	}
	if i.FailureMessage != "" {
		attributes["state-reason-code"] = []string{internalError}
	}
	maps.Copy(attributes, profileAttributes(i))
	maps.Copy(attributes, optionAttributes(i))
	var place map[string][]string
	if i.State() != ec2.InstanceTerminated {
		place = map[string][]string{
			"vpc-id": {i.VPC}, "subnet-id": {i.Subnet}, "instance.group-id": i.SecurityGroups,
			"private-ip-address": {i.Address.String()}, "private-dns-name": {i.PrivateName(op.Region)},
		}
	}
	for _, name := range []string{"vpc-id", "subnet-id", "instance.group-id", "private-ip-address", "private-dns-name"} {
		attributes[name] = place[name]
		attributes["network-interface."+name] = place[name]
	}
	return attributes
}

// DescribeInstances lists instances, gathered by reservation.
func (op *call) DescribeInstances(in *ec2.DescribeInstancesRequest) (*ec2.DescribeInstancesResponse, error) {
	found, next, err := instances.selected(op, selection{in.IDs, in.Filters, in.Page})
	if err != nil {
		return nil, err
	}
	var order []string
	members := map[string][]*ec2.Instance{}
	for _, instance := range found {
		if members[instance.Reservation] == nil {
			order = append(order, instance.Reservation)
		}
		members[instance.Reservation] = append(members[instance.Reservation], instance)
	}
	answer := &ec2.DescribeInstancesResponse{NextToken: next}
	for _, reservation := range order {
		description, err := op.describeReservation(members[reservation])
		if err != nil {
			return nil, err
		}
		answer.Reservations = append(answer.Reservations, *description)
	}
	return answer, nil
}

// TerminateInstances ends instances: all those named, or none if one does not exist. They are shutting down until the
// nodes have forgotten them.
func (op *call) TerminateInstances(in *ec2.TerminateInstancesRequest) (*ec2.TerminateInstancesResponse, error) {
	changes, err := each(in.IDs, func(id string) (ec2.InstanceStateChange, error) {
		instance, err := instances.find(op, id)
		if err != nil {
			return ec2.InstanceStateChange{}, err
		}
		before := instance.State()
		if !instance.Deleting {
			instance.Status = lattice.StatusDeleteInProgress
			err = instances.Put(op.Call, instance)
		}
		return ec2.InstanceStateChange{ID: id, Current: instance.State().Describe(), Previous: before.Describe()}, err
	})
	return &ec2.TerminateInstancesResponse{Instances: changes}, err
}

// ModifyInstanceAttribute puts an instance into other security groups.
func (op *call) ModifyInstanceAttribute(in *ec2.ModifyInstanceAttributeRequest) (*ec2.Done, error) {
	instance, err := instances.find(op, in.InstanceID)
	if err != nil {
		return nil, err
	}
	return op.regroup(instance, in.Groups)
}

// ModifyNetworkInterfaceAttribute puts the instance that has an interface into other security groups.
func (op *call) ModifyNetworkInterfaceAttribute(in *ec2.ModifyNetworkInterfaceAttributeRequest) (*ec2.Done, error) {
	if err := op.May(op.arn("network-interface/"+in.NetworkInterfaceID), nil); err != nil {
		return nil, err
	}
	own, err := instances.own(op)
	if err != nil {
		return nil, err
	}
	picked, err := interfaces.pick(own, []string{in.NetworkInterfaceID}, nil)
	if err != nil {
		return nil, err
	}
	return op.regroup(picked[0], in.Groups)
}

// regroup puts an instance into other security groups.
func (op *call) regroup(instance *ec2.Instance, wanted []string) (done *ec2.Done, err error) {
	switch {
	case instance.Deleting:
		return nil, aws.Errorf("IncorrectInstanceState", "The instance %s is %s", instance.ID, instance.State())
	case len(wanted) == 0:
		return nil, aws.Errorf("MissingParameter", "The request must name a security group at least; it can change "+
			"nothing else")
	}
	if instance.SecurityGroups, err = op.groupsOf(wanted, instance.VPC, instance.Subnet); err != nil {
		return nil, err
	}
	return &ec2.Done{Return: true}, instances.Put(op.Call, instance)
}
