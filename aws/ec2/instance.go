package ec2

type RunInstancesRequest struct {
	ImageID           string             `query:"ImageId"`
	Type              string             `query:"InstanceType"`
	MinCount          *int32             `query:"MinCount" check:"range=1..256"`
	MaxCount          *int32             `query:"MaxCount" check:"range=1..256"`
	SubnetID          string             `query:"SubnetId"`
	PrivateAddress    string             `query:"PrivateIpAddress"`
	SecurityGroupIDs  []string           `query:"SecurityGroupId" check:"len=0..16"`
	NetworkInterfaces []LaunchInterface  `query:"NetworkInterface" check:"len=0..1"`
	TagSpecification  []TagSpecification `query:"TagSpecification"`
	ClientToken       string             `query:"ClientToken" check:"len=1..64"`

	Profile         ProfileSpecification   `query:"IamInstanceProfile"`
	MetadataOptions MetadataOptionsChanges `query:"MetadataOptions"`

	// UserData is in Base64.
	UserData  string    `query:"UserData"`
	Placement Placement `query:"Placement"`
}

// Placement says where an instance goes, besides its subnet, which says it already.
type Placement struct {
	AvailabilityZone string `query:"AvailabilityZone"`
	Tenancy          string `query:"Tenancy" check:"enum=default"` // of what cannot be chosen
}

// LaunchInterface is the network interface of an instance to launch: another way to say where the instance goes.
type LaunchInterface struct {
	DeviceIndex      int32    `query:"DeviceIndex" check:"range=0..0"`
	SubnetID         string   `query:"SubnetId"`
	PrivateAddress   string   `query:"PrivateIpAddress"`
	SecurityGroupIDs []string `query:"SecurityGroupId" check:"len=0..16"`
}

// RunInstancesResponse is a reservation: the instances that one request has launched.
type RunInstancesResponse struct {
	ReservationID string                   `xml:"reservationId"`
	OwnerID       string                   `xml:"ownerId"`
	Groups        Set[GroupName]           `xml:"groupSet"`
	Instances     Set[InstanceDescription] `xml:"instancesSet"`
}

// Reservation is an item of DescribeInstancesResponse.
type Reservation = RunInstancesResponse

type DescribeInstancesRequest struct {
	IDs     []string `query:"InstanceId"`
	Filters []Filter `query:"Filter"`
	Page
}

type DescribeInstancesResponse struct {
	NextToken    string           `xml:"nextToken,omitempty"`
	Reservations Set[Reservation] `xml:"reservationSet"`
}

// InstanceDescription is an instance as callers see it.
type InstanceDescription struct {
	ID                string                   `xml:"instanceId"`
	ImageID           string                   `xml:"imageId,omitempty"`
	State             InstanceStateDescription `xml:"instanceState"`
	PrivateDNSName    string                   `xml:"privateDnsName"`
	Type              string                   `xml:"instanceType"`
	LaunchTime        Instant                  `xml:"launchTime"`
	LaunchIndex       int                      `xml:"amiLaunchIndex"`
	AvailabilityZone  string                   `xml:"placement>availabilityZone"`
	Tenancy           string                   `xml:"placement>tenancy"`
	Monitoring        string                   `xml:"monitoring>state"`
	SubnetID          string                   `xml:"subnetId,omitempty"`
	VPCID             string                   `xml:"vpcId,omitempty"`
	PrivateAddress    string                   `xml:"privateIpAddress,omitempty"`
	SourceDestCheck   bool                     `xml:"sourceDestCheck"`
	Groups            Set[GroupName]           `xml:"groupSet"`
	Architecture      string                   `xml:"architecture"`
	RootDeviceType    string                   `xml:"rootDeviceType"`
	ClientToken       string                   `xml:"clientToken"`
	NetworkInterfaces Set[InstanceInterface]   `xml:"networkInterfaceSet"`
	Tags              Set[Tag]                 `xml:"tagSet"`

	StateReason     *StateReason                `xml:"stateReason,omitempty"`
	Profile         *ProfileDescription         `xml:"iamInstanceProfile,omitempty"`
	MetadataOptions *MetadataOptionsDescription `xml:"metadataOptions,omitempty"`
}

// InstanceStateDescription is a state by code and name.
type InstanceStateDescription struct {
	Code int           `xml:"code"`
	Name InstanceState `xml:"name"`
}

// StateReason says why an instance is in its state.
type StateReason struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

// GroupName is a security group by id and name.
type GroupName struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

// InstanceInterface is the one network interface of an instance.
type InstanceInterface struct {
	ID              string         `xml:"networkInterfaceId"`
	SubnetID        string         `xml:"subnetId"`
	VPCID           string         `xml:"vpcId"`
	OwnerID         string         `xml:"ownerId"`
	Status          string         `xml:"status"`
	PrivateAddress  string         `xml:"privateIpAddress"`
	MAC             string         `xml:"macAddress"`
	SourceDestCheck bool           `xml:"sourceDestCheck"`
	DeviceIndex     int            `xml:"attachment>deviceIndex"`
	Attached        string         `xml:"attachment>status"`
	Groups          Set[GroupName] `xml:"groupSet"`
}

type TerminateInstancesRequest struct {
	IDs []string `query:"InstanceId" check:"required,len=1..100"`
}

type TerminateInstancesResponse struct {
	Instances Set[InstanceStateChange] `xml:"instancesSet"`
}

// InstanceStateChange is what a request has made of an instance's state.
type InstanceStateChange struct {
	ID       string                   `xml:"instanceId"`
	Current  InstanceStateDescription `xml:"currentState"`
	Previous InstanceStateDescription `xml:"previousState"`
}

// Code is the number of a state. EC2 gives each state one, in the low byte of a 16-bit number.
func (s InstanceState) Code() int {
	switch s {
	case InstancePending:
		return 0
	case InstanceRunning:
		return 16
	case InstanceShuttingDown:
		return 32
	}
	return 48
}

// Describe is the state as callers see it.
func (s InstanceState) Describe() InstanceStateDescription {
	return InstanceStateDescription{s.Code(), s}
}
