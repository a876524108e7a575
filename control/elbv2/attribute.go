package elbv2

import (
	"maps"
	"slices"
	"strconv"

	"pergola/aws"
	"pergola/aws/elbv2"
)

// describeAttributes lists all attributes that a subject can have, with the values that were set or their defaults.
func describeAttributes(s *subject, err error) (*elbv2.AttributesResponse, error) {
	if err != nil {
		return nil, err
	}
	answer := &elbv2.AttributesResponse{}
	for _, key := range slices.Sorted(maps.Keys(s.known)) {
		value, ok := (*s.attributes)[key]
		if !ok {
			value = s.known[key]
		}
		answer.Attributes = append(answer.Attributes, elbv2.Attribute{Key: key, Value: value})
	}
	return answer, nil
}

// changeAttributes sets some attributes of the subject that an operation is about.
func (op *call) changeAttributes(arn string, read func(*call, string) (*subject, error),
	given []elbv2.Attribute) (*elbv2.AttributesResponse, error) {
	s, err := op.findSubject(arn, read)
	if err != nil {
		return nil, err
	}
	if *s.attributes, err = setAttributes(s.known, *s.attributes, given); err != nil {
		return nil, err
	}
	return describeAttributes(s, s.put())
}

// setAttributes sets attributes, if the set has them and their values can be.
func setAttributes(known elbv2.AttributeSet, set map[string]string, given []elbv2.Attribute) (map[string]string, error) {
	set = maps.Clone(set)
	if set == nil {
		set = map[string]string{}
	}
	for _, attribute := range given {
		fallback, ok := known[attribute.Key]
		switch {
		case !ok:
			return nil, aws.Errorf(codeValidation, "Attribute key '%s' is not recognized", attribute.Key)
		case !isValue(attribute.Key, attribute.Value, fallback):
			return nil, aws.Errorf(codeConfiguration, "Attribute value '%s' is not valid for '%s'", attribute.Value, attribute.Key)
		case attribute.Key == elbv2.Stickiness && attribute.Value == "true":
			return nil, aws.Errorf(codeConfiguration, "Stickiness is not served here: requests go to all targets in turn; leave '%s' at false", attribute.Key)
		}
		set[attribute.Key] = attribute.Value
		if attribute.Value == fallback {
			delete(set, attribute.Key)
		}
	}
	return set, nil
}

// values are what an attribute may be: one of some words, or a number in a range that is not empty.
type values struct {
	words    []string
	from, to int
}

// valuesOf are the values of attributes, beside those that are true or false by default (API reference,
// LoadBalancerAttribute and TargetGroupAttribute). What is not here is any text.
var valuesOf = map[string]values{
	elbv2.ForwardedFor: {words: []string{elbv2.ForwardedForAppend, elbv2.ForwardedForPreserve, elbv2.ForwardedForRemove}},
	elbv2.IdleTimeout:  {from: 1, to: 4000},

	"client_keep_alive.seconds":           {from: 60, to: 604800},
	"routing.http.desync_mitigation_mode": {words: []string{"monitor", "defensive", "strictest"}},

	"deregistration_delay.timeout_seconds":                                           {from: 0, to: 3600},
	"load_balancing.algorithm.anomaly_mitigation":                                    {words: []string{"on", "off"}},
	"load_balancing.algorithm.type":                                                  {words: []string{"round_robin", "least_outstanding_requests", "weighted_random"}},
	"load_balancing.cross_zone.enabled":                                              {words: []string{"true", "false", "use_load_balancer_configuration"}},
	"slow_start.duration_seconds":                                                    {words: []string{"0"}, from: 30, to: 900},
	"stickiness.type":                                                                {words: []string{"lb_cookie", "app_cookie"}},
	"stickiness.app_cookie.duration_seconds":                                         {from: 1, to: 604800},
	"stickiness.lb_cookie.duration_seconds":                                          {from: 1, to: 604800},
	"target_group_health.dns_failover.minimum_healthy_targets.count":                 {words: []string{"off"}, from: 1, to: maxTargets},
	"target_group_health.dns_failover.minimum_healthy_targets.percentage":            {words: []string{"off"}, from: 1, to: 100},
	"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      {from: 1, to: maxTargets},
	"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": {words: []string{"off"}, from: 1, to: 100},
}

// isValue reports whether an attribute may have a value. Those that are true or false by default must be one or the other.
func isValue(key, value, fallback string) bool {
	if fallback == "true" || fallback == "false" {
		return value == "true" || value == "false"
	}
	may, ok := valuesOf[key]
	if !ok || slices.Contains(may.words, value) {
		return true
	}
	n, err := strconv.Atoi(value)
	return err == nil && value == strconv.Itoa(n) && may.from <= n && n <= may.to && may.to > 0
}

// DescribeLoadBalancerAttributes lists the attributes of a load balancer.
func (op *call) DescribeLoadBalancerAttributes(in *elbv2.LoadBalancerRequest) (*elbv2.AttributesResponse, error) {
	return describeAttributes(loadBalancers.subject(op, in.ARN))
}

// ModifyLoadBalancerAttributes sets some attributes of a load balancer.
func (op *call) ModifyLoadBalancerAttributes(
	in *elbv2.ModifyLoadBalancerAttributesRequest) (*elbv2.AttributesResponse, error) {
	return op.changeAttributes(in.ARN, loadBalancers.subject, in.Attributes)
}

// DescribeTargetGroupAttributes lists the attributes of a target group.
func (op *call) DescribeTargetGroupAttributes(in *elbv2.TargetGroupRequest) (*elbv2.AttributesResponse, error) {
	return describeAttributes(targetGroups.subject(op, in.ARN))
}

// ModifyTargetGroupAttributes sets some attributes of a target group.
func (op *call) ModifyTargetGroupAttributes(
	in *elbv2.ModifyTargetGroupAttributesRequest) (*elbv2.AttributesResponse, error) {
	return op.changeAttributes(in.ARN, targetGroups.subject, in.Attributes)
}

// DescribeListenerAttributes lists the attributes of a listener.
func (op *call) DescribeListenerAttributes(in *elbv2.ListenerRequest) (*elbv2.AttributesResponse, error) {
	return describeAttributes(listenerSubject(op, in.ARN))
}

// ModifyListenerAttributes sets some attributes of a listener.
func (op *call) ModifyListenerAttributes(in *elbv2.ModifyListenerAttributesRequest) (*elbv2.AttributesResponse, error) {
	return op.changeAttributes(in.ARN, listenerSubject, in.Attributes)
}
