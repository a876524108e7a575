package ec2

import (
	"strconv"

	"pergola/aws"
	"pergola/aws/ec2"
)

// applyOptions changes the metadata options that a request sets.
func applyOptions(to *ec2.MetadataOptions, in ec2.MetadataOptionsChanges) error {
	if in.IPv6 == "enabled" {
		return aws.Errorf("UnsupportedOperation", "instance metadata is served at an IPv4 address only; leave out HttpProtocolIpv6")
	}
	if in.Tokens != "" {
		to.TokensOptional = in.Tokens == "optional"
	}
	if in.Endpoint != "" {
		to.Disabled = in.Endpoint == "disabled"
	}
	if in.HopLimit != nil {
		to.HopLimit = *in.HopLimit
	}
	if in.Tags != "" {
		to.Tags = in.Tags == "enabled"
	}
	return nil
}

// ModifyInstanceMetadataOptions changes how an instance may ask for its metadata.
func (op *call) ModifyInstanceMetadataOptions(
	in *ec2.ModifyMetadataOptionsRequest) (*ec2.ModifyMetadataOptionsResponse, error) {
	if in.MetadataOptionsChanges == (ec2.MetadataOptionsChanges{}) {
		return nil, aws.Errorf("InvalidParameterCombination", "The request must set one of the options at least")
	}
	instance, err := instances.find(op, in.InstanceID)
	if err != nil {
		return nil, err
	}
	if instance.Deleting {
		return nil, aws.Errorf("IncorrectInstanceState", "The instance %s is %s", instance.ID, instance.State())
	}
	if err := applyOptions(&instance.MetadataOptions, in.MetadataOptionsChanges); err != nil {
		return nil, err
	}
	answer := &ec2.ModifyMetadataOptionsResponse{InstanceID: instance.ID,
		Options: instance.MetadataOptions.Describe("pending")}
	return answer, instances.Put(op.Call, instance)
}

func optionAttributes(i *ec2.Instance) map[string][]string {
	options := i.MetadataOptions.Describe("applied")
	return map[string][]string{
		"metadata-options.http-tokens": {options.Tokens}, "metadata-options.http-endpoint": {options.Endpoint},
		"metadata-options.http-put-response-hop-limit": {strconv.Itoa(int(options.HopLimit))},
		"metadata-options.instance-metadata-tags":      {options.Tags},
	}
}
