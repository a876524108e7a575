package lattice

import (
	"strconv"
)

// TargetGroupType says what the targets of a group are.
type TargetGroupType string

const (
	TargetInstance TargetGroupType = "INSTANCE"
	TargetIP       TargetGroupType = "IP"
	TargetLambda   TargetGroupType = "LAMBDA"
	TargetALB      TargetGroupType = "ALB"
)

// TargetProtocol is the protocol spoken to targets, or by health checks.
type TargetProtocol string

const (
	TargetHTTP  TargetProtocol = "HTTP"
	TargetHTTPS TargetProtocol = "HTTPS"
	TargetTCP   TargetProtocol = "TCP"
)

// ProtocolVersion is the version of HTTP spoken to targets.
type ProtocolVersion string

const (
	HTTP1 ProtocolVersion = "HTTP1"
	HTTP2 ProtocolVersion = "HTTP2"
	GRPC  ProtocolVersion = "GRPC"
)

// TargetGroup is a set of targets that run the same application, with the health check that watches them.
type TargetGroup struct {
	ID            string             `json:"id"`
	ARN           string             `json:"arn"`
	Name          string             `json:"name"`
	Type          TargetGroupType    `json:"type"`
	Config        *TargetGroupConfig `json:"config,omitempty"`
	Status        Status             `json:"status,omitempty"`
	CreatedAt     Time               `json:"createdAt"`
	LastUpdatedAt Time               `json:"lastUpdatedAt"`
	Tags          Tags               `json:"tags,omitempty"`
	ClientToken   string             `json:"clientToken,omitempty"`
	// Failure is why the last change has failed; zero if it has not.
	Failure
	Intent
}

// TargetGroupConfig is how to reach the targets of a group. In a stored target group every default is filled in.
type TargetGroupConfig struct {
	Port                        int32              `json:"port,omitempty" check:"range=1..65535"`
	Protocol                    TargetProtocol     `json:"protocol,omitempty" check:"enum=HTTP|HTTPS|TCP"`
	ProtocolVersion             ProtocolVersion    `json:"protocolVersion,omitempty" check:"enum=HTTP1|HTTP2|GRPC"`
	IPAddressType               string             `json:"ipAddressType,omitempty" check:"enum=IPV4|IPV6"`
	VPCIdentifier               string             `json:"vpcIdentifier,omitempty" check:"len=5..50,pattern=vpc"`
	HealthCheck                 *HealthCheckConfig `json:"healthCheck,omitempty"`
	LambdaEventStructureVersion string             `json:"lambdaEventStructureVersion,omitempty" check:"enum=V1|V2"`
}

// HealthCheckConfig is how the health of a group's targets is checked (guide, "Health check settings"). In a request,
// 0 asks for a setting's default; in a stored target group every default is filled in, but for Port, where 0 means
// the port on which the target receives requests.
type HealthCheckConfig struct {
	Enabled                    *bool           `json:"enabled,omitempty"`
	Protocol                   TargetProtocol  `json:"protocol,omitempty" check:"enum=HTTP|HTTPS|TCP"`
	ProtocolVersion            ProtocolVersion `json:"protocolVersion,omitempty" check:"enum=HTTP1|HTTP2"`
	Port                       int32           `json:"port,omitempty" check:"range=0..65535"`
	Path                       string          `json:"path,omitempty" check:"len=0..2048,pattern=healthpath"`
	HealthCheckIntervalSeconds int32           `json:"healthCheckIntervalSeconds,omitempty" check:"range=0..300"`
	HealthCheckTimeoutSeconds  int32           `json:"healthCheckTimeoutSeconds,omitempty" check:"range=0..120"`
	HealthyThresholdCount      int32           `json:"healthyThresholdCount,omitempty" check:"range=0..10"`
	UnhealthyThresholdCount    int32           `json:"unhealthyThresholdCount,omitempty" check:"range=0..10"`
	Matcher                    *Matcher        `json:"matcher,omitempty" check:"union"`
}

// Matcher is which status codes mean health: single codes and ranges separated by commas, such as "200,202-204".
type Matcher struct {
	HTTPCode *string `json:"httpCode,omitempty" check:"len=0..2000,pattern=codes"`
}

// The defaults of a health check.
const (
	DefaultHealthCheckIntervalSeconds = 30
	DefaultHealthCheckTimeoutSeconds  = 5
	DefaultHealthyThresholdCount      = 5
	DefaultUnhealthyThresholdCount    = 2
	DefaultHealthCheckPath            = "/"
	DefaultHealthCheckCodes           = "200"
)

// Target is a target as callers name it. Port 0 means the port of the target group.
type Target struct {
	ID   string `json:"id" check:"required,len=1..200"`
	Port int32  `json:"port,omitempty" check:"range=1..65535"`
}

// RegisteredTarget is a target of a target group.
type RegisteredTarget struct {
	TargetGroupID string `json:"targetGroupId"`
	// ID is an instance id, an IP address or an ARN, as the type of the target group asks.
	ID string `json:"id"`
	// Port is never 0, except for a Lambda function.
	Port         int32 `json:"port,omitempty"`
	RegisteredAt Time  `json:"registeredAt"`
	// DeregisteredAt is set once the target has been deregistered. It then receives no new request, and its record
	// stays until the requests it is still answering have ended.
	DeregisteredAt *Time `json:"deregisteredAt,omitempty"`
}

// Key identifies a target within its target group.
func (t RegisteredTarget) Key() string { return TargetKey(t.ID, t.Port) }

// TargetKey identifies a target within its target group by id and port.
func TargetKey(id string, port int32) string { return id + ":" + strconv.Itoa(int(port)) }

// TargetStatus is what the nodes say of a target.
type TargetStatus string

const (
	// TargetInitial is a target that no health check has judged yet.
	TargetInitial TargetStatus = "INITIAL"
	// TargetHealthy receives requests.
	TargetHealthy TargetStatus = "HEALTHY"
	// TargetUnhealthy receives requests only when no target of its group is healthy.
	TargetUnhealthy TargetStatus = "UNHEALTHY"
	// TargetUnused is a target of a group that no reachable listener forwards to.
	TargetUnused TargetStatus = "UNUSED"
	// TargetDraining has been deregistered and is finishing its requests.
	TargetDraining TargetStatus = "DRAINING"
	// TargetUnavailable is a target whose health is not checked because its group's type or settings do not allow it.
	TargetUnavailable TargetStatus = "UNAVAILABLE"
)

// The reason codes that accompany a status other than HEALTHY.
const (
	ReasonTargetGroupNotInUse     = "TargetGroupNotInUse"
	ReasonHealthCheckFailed       = "HealthCheckFailed"
	ReasonHealthCheckNotSupported = "HealthCheckNotSupported"
	ReasonHealthCheckInProgress   = "HealthCheckInProgress"
	ReasonDeregistrationProgress  = "DeregistrationInProgress"
)

// TargetHealth is what one node reports of one target.
type TargetHealth struct {
	Status     TargetStatus `json:"status"`
	ReasonCode string       `json:"reasonCode,omitempty"`
	// Drained is true of a DRAINING target that answers no request any more.
	Drained bool `json:"drained,omitempty"`
}

type CreateTargetGroupRequest struct {
	Name        string             `json:"name" check:"required,len=3..128,name=tg-"`
	Type        TargetGroupType    `json:"type" check:"required,enum=IP|LAMBDA|INSTANCE|ALB"`
	Config      *TargetGroupConfig `json:"config"`
	ClientToken string             `json:"clientToken" check:"len=1..64,pattern=visible"`
	Tags        Tags               `json:"tags" check:"len=0..200,pattern=tags"`
}

type CreateTargetGroupResponse struct {
	ID     string             `json:"id,omitempty"`
	ARN    string             `json:"arn,omitempty"`
	Name   string             `json:"name,omitempty"`
	Type   TargetGroupType    `json:"type,omitempty"`
	Config *TargetGroupConfig `json:"config,omitempty"`
	Status Status             `json:"status,omitempty"`
}

type GetTargetGroupRequest struct {
	TargetGroupIdentifier string `uri:"targetGroupIdentifier" check:"required,len=17..2048,id=targetgroup"`
}

type GetTargetGroupResponse struct {
	ID             string             `json:"id,omitempty"`
	ARN            string             `json:"arn,omitempty"`
	Name           string             `json:"name,omitempty"`
	Type           TargetGroupType    `json:"type,omitempty"`
	Config         *TargetGroupConfig `json:"config,omitempty"`
	CreatedAt      Time               `json:"createdAt,omitzero"`
	LastUpdatedAt  Time               `json:"lastUpdatedAt,omitzero"`
	Status         Status             `json:"status,omitempty"`
	ServiceARNs    []string           `json:"serviceArns"`
	FailureMessage string             `json:"failureMessage,omitempty"`
	FailureCode    string             `json:"failureCode,omitempty"`
}

type UpdateTargetGroupRequest struct {
	TargetGroupIdentifier string            `uri:"targetGroupIdentifier" check:"required,len=17..2048,id=targetgroup"`
	HealthCheck           HealthCheckConfig `json:"healthCheck" check:"required"`
}

type UpdateTargetGroupResponse = CreateTargetGroupResponse

type DeleteTargetGroupRequest struct {
	TargetGroupIdentifier string `uri:"targetGroupIdentifier" check:"required,len=17..2048,id=targetgroup"`
}

type DeleteTargetGroupResponse struct {
	ID     string `json:"id,omitempty"`
	ARN    string `json:"arn,omitempty"`
	Status Status `json:"status,omitempty"`
}

type ListTargetGroupsRequest struct {
	Page
	VPCIdentifier   string          `query:"vpcIdentifier" check:"len=5..50,pattern=vpc"`
	TargetGroupType TargetGroupType `query:"targetGroupType" check:"enum=IP|LAMBDA|INSTANCE|ALB"`
}

type TargetGroupSummary struct {
	ID                          string          `json:"id,omitempty"`
	ARN                         string          `json:"arn,omitempty"`
	Name                        string          `json:"name,omitempty"`
	Type                        TargetGroupType `json:"type,omitempty"`
	CreatedAt                   Time            `json:"createdAt,omitzero"`
	Port                        int32           `json:"port,omitempty"`
	Protocol                    TargetProtocol  `json:"protocol,omitempty"`
	IPAddressType               string          `json:"ipAddressType,omitempty"`
	VPCIdentifier               string          `json:"vpcIdentifier,omitempty"`
	LastUpdatedAt               Time            `json:"lastUpdatedAt,omitzero"`
	Status                      Status          `json:"status,omitempty"`
	ServiceARNs                 []string        `json:"serviceArns"`
	LambdaEventStructureVersion string          `json:"lambdaEventStructureVersion,omitempty"`
}

type RegisterTargetsRequest struct {
	TargetGroupIdentifier string   `uri:"targetGroupIdentifier" check:"required,len=17..2048,id=targetgroup"`
	Targets               []Target `json:"targets" check:"required,len=1..100"`
}

type RegisterTargetsResponse struct {
	Successful   []Target        `json:"successful"`
	Unsuccessful []TargetFailure `json:"unsuccessful"`
}

// TargetFailure says why one target was not registered or deregistered.
type TargetFailure struct {
	ID             string `json:"id,omitempty"`
	Port           int32  `json:"port,omitempty"`
	FailureCode    string `json:"failureCode,omitempty"`
	FailureMessage string `json:"failureMessage,omitempty"`
}

type DeregisterTargetsRequest struct {
	TargetGroupIdentifier string   `uri:"targetGroupIdentifier" check:"required,len=17..2048,id=targetgroup"`
	Targets               []Target `json:"targets" check:"required,len=1..100"`
}

type DeregisterTargetsResponse = RegisterTargetsResponse

type ListTargetsRequest struct {
	TargetGroupIdentifier string `uri:"targetGroupIdentifier" check:"required,len=17..2048,id=targetgroup"`
	Page
	Targets []Target `json:"targets" check:"len=0..20"`
}

type TargetSummary struct {
	ID         string       `json:"id,omitempty"`
	Port       int32        `json:"port,omitempty"`
	Status     TargetStatus `json:"status,omitempty"`
	ReasonCode string       `json:"reasonCode,omitempty"`
}
