package ec2

type DescribeImagesRequest struct {
	IDs     []string `query:"ImageId"`
	Filters []Filter `query:"Filter"`
}

type DescribeImagesResponse struct {
	Images Set[Image] `xml:"imagesSet"`
}

// Image is an image as callers see it.
type Image struct {
	ID                 string `xml:"imageId"`
	State              string `xml:"imageState"`
	Type               string `xml:"imageType"`
	Architecture       string `xml:"architecture"`
	RootDeviceType     string `xml:"rootDeviceType"`
	VirtualizationType string `xml:"virtualizationType"`
}

type DescribeInstanceTypesRequest struct {
	Types   []string `query:"InstanceType" check:"len=0..100"`
	Filters []Filter `query:"Filter"`
}

type DescribeInstanceTypesResponse struct {
	Types Set[InstanceType] `xml:"instanceTypeSet"`
}

// InstanceType is what there is to say of a type of instances.
type InstanceType struct {
	Name          string      `xml:"instanceType"`
	BareMetal     bool        `xml:"bareMetal"`
	Burstable     bool        `xml:"burstablePerformanceSupported"`
	Hibernation   bool        `xml:"hibernationSupported"`
	AutoRecovery  bool        `xml:"autoRecoverySupported"`
	Architectures Set[string] `xml:"processorInfo>supportedArchitectures"`
}

type DescribeInstanceCreditSpecificationsRequest struct {
	IDs []string `query:"InstanceId" check:"len=0..1000"`
}

type DescribeInstanceCreditSpecificationsResponse struct {
	Specifications Set[CreditSpecification] `xml:"instanceCreditSpecificationSet"`
}

// CreditSpecification says whether an instance may use more of its processor than its type grants.
type CreditSpecification struct {
	InstanceID string `xml:"instanceId"`
	CPUCredits string `xml:"cpuCredits"`
}

type DescribeVolumesRequest struct {
	IDs []string `query:"VolumeId"`
}

// DescribeVolumesResponse lists volumes, of which there are none.
type DescribeVolumesResponse struct {
	Volumes Set[struct{}] `xml:"volumeSet"`
}

type DescribeInstanceAttributeRequest struct {
	ID        string `query:"InstanceId" check:"required"`
	Attribute string `query:"Attribute" check:"required,enum=instanceType|kernel|ramdisk|userData|disableApiTermination|instanceInitiatedShutdownBehavior|rootDeviceName|blockDeviceMapping|productCodes|sourceDestCheck|groupSet|ebsOptimized|sriovNetSupport|enaSupport|enclaveOptions|disableApiStop"`
}

// DescribeInstanceAttributeResponse has the one attribute that was asked for, or none where the instance has no value
// of it.
type DescribeInstanceAttributeResponse struct {
	ID                    string          `xml:"instanceId"`
	Type                  *AttributeText  `xml:"instanceType,omitempty"`
	UserData              *AttributeText  `xml:"userData,omitempty"`
	ShutdownBehavior      *AttributeText  `xml:"instanceInitiatedShutdownBehavior,omitempty"`
	DisableAPITermination *AttributeValue `xml:"disableApiTermination,omitempty"`
	DisableAPIStop        *AttributeValue `xml:"disableApiStop,omitempty"`
	SourceDestCheck       *AttributeValue `xml:"sourceDestCheck,omitempty"`
	EBSOptimized          *AttributeValue `xml:"ebsOptimized,omitempty"`
	Groups                Set[GroupName]  `xml:"groupSet,omitempty"`
}

// AttributeText is the value of an attribute, or "".
type AttributeText struct {
	Value string `xml:"value,omitempty"`
}
