package ec2_test

import (
	"encoding/xml"
	"strings"
	"testing"

	nouns "pergola/aws/ec2"
)

func TestImages(t *testing.T) {
	w := newWorld(t)
	one := nouns.DescribeImagesRequest{IDs: []string{"ami-0a"}, Filters: []nouns.Filter{{Name: "state", Values: []string{"available"}}, {Name: "architecture", Values: []string{"x86_64"}}}}
	if images := must(w, w.DescribeImages, one).Images; len(images) != 1 || images[0].ID != "ami-0a" || images[0].State != "available" {
		t.Errorf("%+v", images)
	}
	if images := must(w, w.DescribeImages, nouns.DescribeImagesRequest{Filters: one.Filters}).Images; len(images) != 0 {
		t.Errorf("%+v", images)
	}
	if images := must(w, w.DescribeImages, nouns.DescribeImagesRequest{IDs: one.IDs, Filters: []nouns.Filter{{Name: "name", Values: []string{"*"}}}}).Images; len(images) != 0 {
		t.Errorf("an image has a name: %+v", images)
	}
	refused(w, w.DescribeImages, nouns.DescribeImagesRequest{IDs: []string{"debian"}}, "InvalidAMIID.Malformed")
	refused(w, w.DescribeImages, nouns.DescribeImagesRequest{IDs: one.IDs, Filters: []nouns.Filter{{Name: "colour", Values: []string{"red"}}}}, "InvalidParameterValue")
}

func TestInstanceTypes(t *testing.T) {
	w := newWorld(t)
	types := must(w, w.DescribeInstanceTypes, nouns.DescribeInstanceTypesRequest{Types: []string{"t3.micro", "m5.large", "u-6tb1.56xlarge"}}).Types
	if len(types) != 3 || !types[0].Burstable || types[1].Burstable || types[2].Name != "u-6tb1.56xlarge" {
		t.Errorf("%+v", types)
	}
	burstable := []nouns.Filter{{Name: "burstable-performance-supported", Values: []string{"true"}}}
	if types := must(w, w.DescribeInstanceTypes, nouns.DescribeInstanceTypesRequest{Types: []string{"t4g.nano", "c7g.large"}, Filters: burstable}).Types; len(types) != 1 {
		t.Errorf("%+v", types)
	}
	if types := must(w, w.DescribeInstanceTypes, nouns.DescribeInstanceTypesRequest{Filters: burstable}).Types; len(types) != 0 {
		t.Errorf("%+v", types)
	}
	for _, name := range []string{"", "large", "t3.", ".micro", "T3.micro", "t3.micro "} {
		refused(w, w.DescribeInstanceTypes, nouns.DescribeInstanceTypesRequest{Types: []string{name}}, "InvalidInstanceType")
	}
}

func TestCreditSpecifications(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.0.0/24")
	ids := map[string]string{}
	for _, name := range []string{"t2.micro", "t3.micro", "m5.large"} {
		ids[name] = must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, Type: name}).Instances[0].ID
	}
	for name, want := range map[string]string{"t2.micro": "standard", "t3.micro": "unlimited"} {
		got := must(w, w.DescribeInstanceCreditSpecifications, nouns.DescribeInstanceCreditSpecificationsRequest{IDs: []string{ids[name]}}).Specifications
		if len(got) != 1 || got[0] != (nouns.CreditSpecification{InstanceID: ids[name], CPUCredits: want}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if all := must(w, w.DescribeInstanceCreditSpecifications, nouns.DescribeInstanceCreditSpecificationsRequest{}).Specifications; len(all) != 2 {
		t.Errorf("%+v", all)
	}
	refused(w, w.DescribeInstanceCreditSpecifications, nouns.DescribeInstanceCreditSpecificationsRequest{IDs: []string{ids["m5.large"]}}, "UnsupportedOperation")
	refused(w, w.DescribeInstanceCreditSpecifications, nouns.DescribeInstanceCreditSpecificationsRequest{IDs: []string{"i-0"}}, "InvalidInstanceID.NotFound")
}

func TestVolumes(t *testing.T) {
	w := newWorld(t)
	if volumes := must(w, w.DescribeVolumes, nouns.DescribeVolumesRequest{}).Volumes; len(volumes) != 0 {
		t.Errorf("%+v", volumes)
	}
	refused(w, w.DescribeVolumes, nouns.DescribeVolumesRequest{IDs: []string{"vol-0"}}, "InvalidVolume.NotFound")
}

func TestInstanceAttributes(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.0.0/24")
	id := must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, Type: "t3.micro"}).Instances[0].ID
	for attribute, want := range map[string]string{
		"instanceType":                      "<instanceType><value>t3.micro</value></instanceType>",
		"userData":                          "<userData></userData>",
		"instanceInitiatedShutdownBehavior": "<instanceInitiatedShutdownBehavior><value>stop</value></instanceInitiatedShutdownBehavior>",
		"disableApiTermination":             "<disableApiTermination><value>false</value></disableApiTermination>",
		"disableApiStop":                    "<disableApiStop><value>false</value></disableApiStop>",
		"sourceDestCheck":                   "<sourceDestCheck><value>true</value></sourceDestCheck>",
		"ebsOptimized":                      "<ebsOptimized><value>false</value></ebsOptimized>",
		"groupSet":                          "<groupName>default</groupName></item></groupSet>",
		"kernel":                            "<instanceId>" + id + "</instanceId></",
	} {
		encoded, err := xml.Marshal(must(w, w.DescribeInstanceAttribute, nouns.DescribeInstanceAttributeRequest{ID: id, Attribute: attribute}))
		if err != nil || !strings.Contains(string(encoded), want) {
			t.Errorf("%s: %s, %v, want %s", attribute, encoded, err, want)
		}
	}
	refused(w, w.DescribeInstanceAttribute, nouns.DescribeInstanceAttributeRequest{ID: "i-0", Attribute: "userData"}, "InvalidInstanceID.NotFound")
}

func TestHardwareAddress(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.1.0/24")
	instance := must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, PrivateAddress: "10.0.1.9"}).Instances[0]
	found := must(w, w.DescribeNetworkInterfaces, nouns.DescribeNetworkInterfacesRequest{}).Interfaces
	if want := "02:00:0a:00:01:09"; instance.NetworkInterfaces[0].MAC != want || found[0].MAC != want {
		t.Errorf("%s and %s, want %s", instance.NetworkInterfaces[0].MAC, found[0].MAC, want)
	}
}
