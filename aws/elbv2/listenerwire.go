package elbv2

import (
	"pergola/aws"
	"pergola/lattice"
)

// ListenerRequest names a listener.
type ListenerRequest struct {
	ARN string `query:"ListenerArn" check:"required"`
}

// ListenerSettings are what can be said of a listener. What ModifyListener leaves out stays as it is.
type ListenerSettings struct {
	Protocol             string                `query:"Protocol" check:"enum=HTTP|HTTPS|TCP|TLS|UDP|TCP_UDP|GENEVE|QUIC|TCP_QUIC"`
	Port                 int32                 `query:"Port" check:"range=1..65535"`
	SSLPolicy            string                `query:"SslPolicy"`
	Certificates         []Certificate         `query:"Certificates" check:"len=0..1"`
	ALPNPolicy           []string              `query:"AlpnPolicy"`
	MutualAuthentication *MutualAuthentication `query:"MutualAuthentication"`
}

// Certificate is the certificate of a listener.
type Certificate struct {
	ARN       string `query:"CertificateArn" xml:"CertificateArn" check:"len=1..2048"`
	IsDefault bool   `query:"IsDefault" xml:"IsDefault,omitempty"`
}

// MutualAuthentication says whether clients need certificates: Mode is off, passthrough or verify.
type MutualAuthentication struct {
	Mode string `query:"Mode" xml:"Mode"`
}

type CreateListenerRequest struct {
	LoadBalancerARN string `query:"LoadBalancerArn" check:"required"`
	ListenerSettings
	DefaultActions []ActionDescription `query:"DefaultActions" check:"required,len=1..6"`
	Tags           []Tag               `query:"Tags" check:"len=1..50"`
}

type ModifyListenerRequest struct {
	ARN string `query:"ListenerArn" check:"required"`
	ListenerSettings
	DefaultActions []ActionDescription `query:"DefaultActions" check:"len=0..6"`
}

// ActionDescription is an action as callers give and see it.
type ActionDescription struct {
	Type           string               `query:"Type" xml:"Type" check:"required,enum=forward|authenticate-oidc|authenticate-cognito|redirect|fixed-response|jwt-validation"`
	TargetGroupARN string               `query:"TargetGroupArn" xml:"TargetGroupArn,omitempty"`
	Order          int32                `query:"Order" xml:"Order,omitempty" check:"range=1..50000"`
	Fixed          *FixedResponseConfig `query:"FixedResponseConfig" xml:"FixedResponseConfig,omitempty"`
	Forward        *ForwardConfig       `query:"ForwardConfig" xml:"ForwardConfig,omitempty"`
}

// FixedResponseConfig is a fixed response as callers give and see it.
type FixedResponseConfig struct {
	MessageBody string `query:"MessageBody" xml:"MessageBody,omitempty" check:"len=0..1024"`
	StatusCode  string `query:"StatusCode" xml:"StatusCode" check:"required,pattern=fixedstatus"`
	ContentType string `query:"ContentType" xml:"ContentType,omitempty" check:"len=0..32"`
}

// ForwardConfig is the target groups to which a listener forwards.
type ForwardConfig struct {
	TargetGroups aws.Members[WeightedGroup] `query:"TargetGroups" xml:"TargetGroups" check:"len=0..5"`
	Stickiness   *ForwardStickiness         `query:"TargetGroupStickinessConfig" xml:"TargetGroupStickinessConfig,omitempty"`
}

// WeightedGroup is a target group with its weight.
type WeightedGroup struct {
	ARN    string `query:"TargetGroupArn" xml:"TargetGroupArn"`
	Weight *int32 `query:"Weight" xml:"Weight,omitempty" check:"range=0..999"`
}

// ForwardStickiness binds clients to one of several target groups.
type ForwardStickiness struct {
	Enabled         bool  `query:"Enabled" xml:"Enabled"`
	DurationSeconds int32 `query:"DurationSeconds" xml:"-"`
}

// ListenersResponse has listeners, and whether there are more.
type ListenersResponse struct {
	Listeners  aws.Members[ListenerDescription] `xml:"Listeners"`
	NextMarker string                           `xml:"NextMarker,omitempty"`
}

// ListenerDescription is a listener as callers see it.
type ListenerDescription struct {
	ARN                  string                         `xml:"ListenerArn"`
	LoadBalancerARN      string                         `xml:"LoadBalancerArn"`
	Port                 int32                          `xml:"Port"`
	Protocol             lattice.Protocol               `xml:"Protocol"`
	Certificates         aws.Members[Certificate]       `xml:"Certificates,omitempty"`
	SSLPolicy            string                         `xml:"SslPolicy,omitempty"`
	DefaultActions       aws.Members[ActionDescription] `xml:"DefaultActions"`
	MutualAuthentication *MutualAuthentication          `xml:"MutualAuthentication,omitempty"`
}

type DescribeListenersRequest struct {
	LoadBalancerARN string   `query:"LoadBalancerArn"`
	ARNs            []string `query:"ListenerArns"`
	Page
}

type ModifyListenerAttributesRequest struct {
	ARN        string      `query:"ListenerArn" check:"required"`
	Attributes []Attribute `query:"Attributes" check:"required"`
}

type DescribeListenerCertificatesRequest struct {
	ListenerRequest
	Page
}

// ListenerCertificatesResponse has the certificates of a listener.
type ListenerCertificatesResponse struct {
	Certificates aws.Members[Certificate] `xml:"Certificates"`
}

type DescribeRulesRequest struct {
	ListenerARN string   `query:"ListenerArn"`
	ARNs        []string `query:"RuleArns"`
	Page
}

// RulesResponse has the rules of a listener, of which there is one.
type RulesResponse struct {
	Rules aws.Members[RuleDescription] `xml:"Rules"`
}

// RuleDescription is a rule as callers see it.
type RuleDescription struct {
	ARN        string                         `xml:"RuleArn"`
	Priority   string                         `xml:"Priority"`
	Conditions aws.Members[struct{}]          `xml:"Conditions"`
	Actions    aws.Members[ActionDescription] `xml:"Actions"`
	IsDefault  bool                           `xml:"IsDefault"`
}
