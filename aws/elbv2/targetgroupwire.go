package elbv2

import (
	"pergola/aws"
	"pergola/lattice"
)

// TargetGroupRequest names a target group.
type TargetGroupRequest struct {
	ARN string `query:"TargetGroupArn" check:"required"`
}

// HealthCheckSettings are what can be said of a health check. What ModifyTargetGroup leaves out stays as it is.
type HealthCheckSettings struct {
	Protocol           string        `query:"HealthCheckProtocol" check:"enum=HTTP|HTTPS|TCP|TLS|UDP|TCP_UDP|GENEVE|QUIC|TCP_QUIC"`
	Port               string        `query:"HealthCheckPort"`
	Enabled            *bool         `query:"HealthCheckEnabled"`
	Path               string        `query:"HealthCheckPath" check:"len=1..1024,pattern=healthpath"`
	IntervalSeconds    int32         `query:"HealthCheckIntervalSeconds" check:"range=5..300"`
	TimeoutSeconds     int32         `query:"HealthCheckTimeoutSeconds" check:"range=2..120"`
	HealthyThreshold   int32         `query:"HealthyThresholdCount" check:"range=2..10"`
	UnhealthyThreshold int32         `query:"UnhealthyThresholdCount" check:"range=2..10"`
	Matcher            *CodesMatcher `query:"Matcher"`
}

// CodesMatcher is which codes mean health.
type CodesMatcher struct {
	HTTPCode string `query:"HttpCode" xml:"HttpCode,omitempty" check:"len=1..2000,pattern=codes"`
	GRPCCode string `query:"GrpcCode" xml:"-"`
}

type CreateTargetGroupRequest struct {
	Name            string `query:"Name" check:"required"`
	Protocol        string `query:"Protocol" check:"enum=HTTP|HTTPS|TCP|TLS|UDP|TCP_UDP|GENEVE|QUIC|TCP_QUIC"`
	ProtocolVersion string `query:"ProtocolVersion"`
	Port            int32  `query:"Port" check:"range=1..65535"`
	VPCID           string `query:"VpcId"`
	TargetType      string `query:"TargetType" check:"enum=instance|ip|lambda|alb"`
	IPAddressType   string `query:"IpAddressType" check:"enum=ipv4|ipv6"`
	ControlPort     int32  `query:"TargetControlPort" check:"range=1..65535"`
	HealthCheckSettings
	Tags []Tag `query:"Tags" check:"len=1..50"`
}

type ModifyTargetGroupRequest struct {
	ARN string `query:"TargetGroupArn" check:"required"`
	HealthCheckSettings
}

// TargetGroupsResponse has target groups, and whether there are more.
type TargetGroupsResponse struct {
	TargetGroups aws.Members[TargetGroupDescription] `xml:"TargetGroups"`
	NextMarker   string                              `xml:"NextMarker,omitempty"`
}

// TargetGroupDescription is a target group as callers see it.
type TargetGroupDescription struct {
	ARN                string                 `xml:"TargetGroupArn"`
	Name               string                 `xml:"TargetGroupName"`
	Protocol           lattice.TargetProtocol `xml:"Protocol"`
	Port               int32                  `xml:"Port"`
	VPCID              string                 `xml:"VpcId"`
	CheckProtocol      lattice.TargetProtocol `xml:"HealthCheckProtocol"`
	CheckPort          string                 `xml:"HealthCheckPort"`
	CheckEnabled       bool                   `xml:"HealthCheckEnabled"`
	IntervalSeconds    int32                  `xml:"HealthCheckIntervalSeconds"`
	TimeoutSeconds     int32                  `xml:"HealthCheckTimeoutSeconds"`
	HealthyThreshold   int32                  `xml:"HealthyThresholdCount"`
	UnhealthyThreshold int32                  `xml:"UnhealthyThresholdCount"`
	Path               string                 `xml:"HealthCheckPath"`
	Matcher            CodesMatcher           `xml:"Matcher"`
	LoadBalancerARNs   aws.Members[string]    `xml:"LoadBalancerArns"`
	TargetType         string                 `xml:"TargetType"`
	ProtocolVersion    string                 `xml:"ProtocolVersion"`
	IPAddressType      string                 `xml:"IpAddressType"`
}

type DescribeTargetGroupsRequest struct {
	LoadBalancerARN string   `query:"LoadBalancerArn"`
	ARNs            []string `query:"TargetGroupArns"`
	Names           []string `query:"Names"`
	Page
}

type ModifyTargetGroupAttributesRequest struct {
	ARN        string      `query:"TargetGroupArn" check:"required"`
	Attributes []Attribute `query:"Attributes" check:"required"`
}

// TargetsRequest names targets of a group.
type TargetsRequest struct {
	ARN     string              `query:"TargetGroupArn" check:"required"`
	Targets []TargetDescription `query:"Targets" check:"required,len=1..100"`
}

// TargetDescription is a target as callers give and see it. Port 0 is the port of the target group.
type TargetDescription struct {
	ID   string `query:"Id" xml:"Id" check:"required,len=1..255"`
	Port int32  `query:"Port" xml:"Port,omitempty" check:"range=1..65535"`
	Zone string `query:"AvailabilityZone" xml:"AvailabilityZone,omitempty"`
}

// DescribeTargetHealthRequest names a group and some of its targets. Without any it is about all.
type DescribeTargetHealthRequest struct {
	ARN     string              `query:"TargetGroupArn" check:"required"`
	Targets []TargetDescription `query:"Targets" check:"len=0..100"`
}

type DescribeTargetHealthResponse struct {
	Descriptions aws.Members[TargetHealthDescription] `xml:"TargetHealthDescriptions"`
}

// TargetHealthDescription is the health of a target.
type TargetHealthDescription struct {
	Target    TargetDescription `xml:"Target"`
	CheckPort string            `xml:"HealthCheckPort,omitempty"`
	Health    TargetHealth      `xml:"TargetHealth"`
}

// TargetHealth is a state, with a reason unless that is healthy.
type TargetHealth struct {
	State       string `xml:"State"`
	Reason      string `xml:"Reason,omitempty"`
	Description string `xml:"Description,omitempty"`
}
