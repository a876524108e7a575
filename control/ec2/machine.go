package ec2

import (
	"regexp"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// What an instance is made of means nothing here: any image and any type will do, and there are no volumes. These
// operations say what little there is to say, because tools ask before they launch.

// rootDeviceType is that of all images and instances.
const rootDeviceType = "ebs"

// DescribeImages says of any image that it is available, which is true: instances can be launched from it. There is no
// catalogue, so a request that names no images finds none.
func (op *call) DescribeImages(in *ec2.DescribeImagesRequest) (*ec2.DescribeImagesResponse, error) {
	answer := &ec2.DescribeImagesResponse{}
	for _, id := range in.IDs {
		if !strings.HasPrefix(id, "ami-") {
			return nil, aws.Errorf("InvalidAMIID.Malformed", "Invalid id: '%s' (expecting 'ami-...')", id)
		}
		image := ec2.Image{ID: id, State: "available", Type: "machine", Architecture: ec2.Architecture,
			RootDeviceType: rootDeviceType, VirtualizationType: "hvm"}
		match, err := matches(in.Filters, map[string][]string{
			"image-id": {id}, "state": {image.State}, "image-type": {image.Type}, "architecture": {ec2.Architecture},
			"root-device-type": {rootDeviceType}, "virtualization-type": {image.VirtualizationType},
			"name": nil, "owner-id": nil, "owner-alias": nil, "is-public": nil,
		})
		if err != nil {
			return nil, err
		}
		if match {
			answer.Images = append(answer.Images, image)
		}
	}
	return answer, nil
}

// typeName is how types are named: the family and the size.
var typeName = regexp.MustCompile(`^[a-z][a-z0-9-]*\.[a-z0-9-]+$`)

// credits is what instances of a type may use of their processors when they have used up what the type grants: the
// default of its family (EC2 user guide, "Burstable performance instances"), or "" if the family is not burstable.
func credits(instanceType string) string {
	family, _, _ := strings.Cut(instanceType, ".")
	switch family {
	case "t2":
		return "standard"
	case "t3", "t3a", "t4g":
		return "unlimited"
	}
	return ""
}

// DescribeInstanceTypes describes the types that the request names. There is no catalogue, so it finds no others.
func (op *call) DescribeInstanceTypes(
	in *ec2.DescribeInstanceTypesRequest) (*ec2.DescribeInstanceTypesResponse, error) {
	answer := &ec2.DescribeInstanceTypesResponse{}
	for _, name := range in.Types {
		if !typeName.MatchString(name) {
			return nil, aws.Errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
		}
		described := ec2.InstanceType{Name: name, Burstable: credits(name) != "",
			Architectures: ec2.Set[string]{ec2.Architecture}}
		match, err := matches(in.Filters, map[string][]string{
			"instance-type": {name}, "burstable-performance-supported": {strconv.FormatBool(described.Burstable)},
			"bare-metal": {strconv.FormatBool(described.BareMetal)}, "processor-info.supported-architecture": {ec2.Architecture},
		})
		if err != nil {
			return nil, err
		}
		if match {
			answer.Types = append(answer.Types, described)
		}
	}
	return answer, nil
}

// DescribeInstanceCreditSpecifications lists what burstable instances may use of their processors. Nobody counts it.
func (op *call) DescribeInstanceCreditSpecifications(
	in *ec2.DescribeInstanceCreditSpecificationsRequest) (*ec2.DescribeInstanceCreditSpecificationsResponse, error) {
	found, err := instances.candidates(op, in.IDs)
	if err != nil {
		return nil, err
	}
	answer := &ec2.DescribeInstanceCreditSpecificationsResponse{}
	for _, instance := range found {
		granted := credits(instance.Type)
		switch {
		case granted != "":
			answer.Specifications = append(answer.Specifications, ec2.CreditSpecification{InstanceID: instance.ID,
				CPUCredits: granted})
		case len(in.IDs) > 0:
			return nil, aws.Errorf("UnsupportedOperation", "The instance %s is of the type %s, which is not burstable",
				instance.ID, instance.Type)
		}
	}
	return answer, nil
}

// DescribeVolumes finds no volumes.
func (op *call) DescribeVolumes(in *ec2.DescribeVolumesRequest) (*ec2.DescribeVolumesResponse, error) {
	if len(in.IDs) > 0 {
		return nil, aws.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", in.IDs[0])
	}
	return &ec2.DescribeVolumesResponse{}, nil
}

// DescribeInstanceAttribute reads one attribute of an instance.
func (op *call) DescribeInstanceAttribute(
	in *ec2.DescribeInstanceAttributeRequest) (*ec2.DescribeInstanceAttributeResponse, error) {
	instance, err := instances.find(op, in.ID)
	if err != nil {
		return nil, err
	}
	answer := &ec2.DescribeInstanceAttributeResponse{ID: instance.ID}
	switch in.Attribute {
	case "instanceType":
		answer.Type = &ec2.AttributeText{Value: instance.Type}
	case "userData":
		encoded, err := userDataOf(op.Tx, instance)
		answer.UserData = &ec2.AttributeText{Value: encoded}
		return answer, err
	case "instanceInitiatedShutdownBehavior":
		answer.ShutdownBehavior = &ec2.AttributeText{Value: "stop"}
	case "disableApiTermination":
		answer.DisableAPITermination = &ec2.AttributeValue{}
	case "disableApiStop":
		answer.DisableAPIStop = &ec2.AttributeValue{}
	case "sourceDestCheck":
		answer.SourceDestCheck = &ec2.AttributeValue{Value: true}
	case "ebsOptimized":
		answer.EBSOptimized = &ec2.AttributeValue{}
	case "groupSet":
		description, err := op.describeInstance(instance)
		answer.Groups = description.Groups
		return answer, err
	}
	return answer, nil
}
