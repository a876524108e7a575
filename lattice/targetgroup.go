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

// The defaults of a health check.
const (
	DefaultHealthCheckIntervalSeconds = 30
	DefaultHealthCheckTimeoutSeconds  = 5
	DefaultHealthyThresholdCount      = 5
	DefaultUnhealthyThresholdCount    = 2
	DefaultHealthCheckPath            = "/"
	DefaultHealthCheckCodes           = "200"
)

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
