package elbv2

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"pergola/aws"
	"pergola/aws/elbv2"
	"pergola/aws/iam"
)

// describeAttributes lists all attributes that a set has, with the values that were set or their defaults.
func describeAttributes(known elbv2.AttributeSet, set map[string]string) *elbv2.AttributesResponse {
	answer := &elbv2.AttributesResponse{}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		value, ok := set[key]
		if !ok {
			value = known[key]
		}
		answer.Attributes = append(answer.Attributes, elbv2.Attribute{Key: key, Value: value})
	}
	return answer
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

// The longest idle timeout, in seconds (API reference, LoadBalancerAttribute).
const maxIdleTimeout = 4000

// isValue reports whether an attribute may have a value. Of attributes that are only kept, those that are true or false
// by default must be one or the other.
func isValue(key, value, fallback string) bool {
	switch {
	case key == elbv2.ForwardedFor:
		return value == elbv2.ForwardedForAppend || value == elbv2.ForwardedForPreserve || value == elbv2.ForwardedForRemove
	case key == elbv2.IdleTimeout:
		seconds, err := strconv.Atoi(value)
		return err == nil && 1 <= seconds && seconds <= maxIdleTimeout
	case fallback == "true" || fallback == "false":
		return value == "true" || value == "false"
	}
	return true
}

// DescribeLoadBalancerAttributes lists the attributes of a load balancer.
func (c *Control) DescribeLoadBalancerAttributes(ctx context.Context, caller iam.Caller, in *elbv2.LoadBalancerRequest) (*elbv2.AttributesResponse, error) {
	return view(ctx, c, caller, "DescribeLoadBalancerAttributes", func(op *call) (*elbv2.AttributesResponse, error) {
		l, err := op.readLoadBalancer(in.ARN)
		if err != nil {
			return nil, err
		}
		return describeAttributes(elbv2.LoadBalancerAttributes, l.Attributes), nil
	})
}

// ModifyLoadBalancerAttributes sets some attributes of a load balancer.
func (c *Control) ModifyLoadBalancerAttributes(ctx context.Context, caller iam.Caller, in *elbv2.ModifyLoadBalancerAttributesRequest) (*elbv2.AttributesResponse, error) {
	return update(ctx, c, caller, "ModifyLoadBalancerAttributes", func(op *call) (*elbv2.AttributesResponse, error) {
		l, err := op.loadBalancer(in.ARN)
		if err != nil {
			return nil, err
		}
		if l.Attributes, err = setAttributes(elbv2.LoadBalancerAttributes, l.Attributes, in.Attributes); err != nil {
			return nil, err
		}
		return describeAttributes(elbv2.LoadBalancerAttributes, l.Attributes), op.putLoadBalancer(l)
	})
}

// DescribeTargetGroupAttributes lists the attributes of a target group.
func (c *Control) DescribeTargetGroupAttributes(ctx context.Context, caller iam.Caller, in *elbv2.TargetGroupRequest) (*elbv2.AttributesResponse, error) {
	return view(ctx, c, caller, "DescribeTargetGroupAttributes", func(op *call) (*elbv2.AttributesResponse, error) {
		g, err := op.readTargetGroup(in.ARN)
		if err != nil {
			return nil, err
		}
		return describeAttributes(elbv2.TargetGroupAttributes, g.Attributes), nil
	})
}

// ModifyTargetGroupAttributes sets some attributes of a target group.
func (c *Control) ModifyTargetGroupAttributes(ctx context.Context, caller iam.Caller, in *elbv2.ModifyTargetGroupAttributesRequest) (*elbv2.AttributesResponse, error) {
	return update(ctx, c, caller, "ModifyTargetGroupAttributes", func(op *call) (*elbv2.AttributesResponse, error) {
		g, err := op.targetGroup(in.ARN)
		if err != nil {
			return nil, err
		}
		if g.Attributes, err = setAttributes(elbv2.TargetGroupAttributes, g.Attributes, in.Attributes); err != nil {
			return nil, err
		}
		return describeAttributes(elbv2.TargetGroupAttributes, g.Attributes), op.putTargetGroup(g)
	})
}

// DescribeListenerAttributes lists the attributes of a listener.
func (c *Control) DescribeListenerAttributes(ctx context.Context, caller iam.Caller, in *elbv2.ListenerRequest) (*elbv2.AttributesResponse, error) {
	return view(ctx, c, caller, "DescribeListenerAttributes", func(op *call) (*elbv2.AttributesResponse, error) {
		_, listener, err := op.readListener(in.ARN)
		if err != nil {
			return nil, err
		}
		return describeAttributes(elbv2.ListenerAttributes, listener.Attributes), nil
	})
}

// ModifyListenerAttributes sets some attributes of a listener.
func (c *Control) ModifyListenerAttributes(ctx context.Context, caller iam.Caller, in *elbv2.ModifyListenerAttributesRequest) (*elbv2.AttributesResponse, error) {
	return update(ctx, c, caller, "ModifyListenerAttributes", func(op *call) (*elbv2.AttributesResponse, error) {
		l, listener, err := op.listener(in.ARN)
		if err != nil {
			return nil, err
		}
		if listener.Attributes, err = setAttributes(elbv2.ListenerAttributes, listener.Attributes, in.Attributes); err != nil {
			return nil, err
		}
		return describeAttributes(elbv2.ListenerAttributes, listener.Attributes), op.putLoadBalancer(l)
	})
}
