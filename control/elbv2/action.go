package elbv2

import (
	"slices"
	"strconv"

	"pergola/aws"
	"pergola/aws/elbv2"
)

// The types of actions that are served here.
const (
	actionForward = "forward"
	actionFixed   = "fixed-response"
)

// contentTypes are what fixed responses may be (API reference, FixedResponseActionConfig).
var contentTypes = []string{"", "text/plain", "text/css", "text/html", "application/javascript", "application/json"}

// action reads the one action of a listener.
func (op *call) action(l *elbv2.LoadBalancer, given []elbv2.ActionDescription) (elbv2.Action, error) {
	if len(given) != 1 {
		return elbv2.Action{}, aws.Errorf("TooManyActions", "A listener has one default action here, not %d", len(given))
	}
	a := given[0]
	switch {
	case a.Type == actionForward && a.Fixed == nil:
		forward, err := op.forward(l, a)
		return elbv2.Action{Forward: forward}, err
	case a.Type == actionFixed && a.Forward == nil && a.TargetGroupARN == "":
		fixed, err := fixedResponse(a.Fixed)
		return elbv2.Action{Fixed: fixed}, err
	case a.Type == actionForward || a.Type == actionFixed:
		return elbv2.Action{}, aws.Errorf("InvalidLoadBalancerAction", "The action has the type '%s' and the configuration of another", a.Type)
	}
	return elbv2.Action{}, aws.Errorf("InvalidLoadBalancerAction", "Actions of type '%s' are not served here; use forward or fixed-response", a.Type)
}

// forward reads the target groups of an action, which may name one in two places, as clients do.
func (op *call) forward(l *elbv2.LoadBalancer, a elbv2.ActionDescription) ([]elbv2.Share, error) {
	given := []elbv2.WeightedGroup{{ARN: a.TargetGroupARN}}
	if a.Forward != nil {
		if a.Forward.Stickiness != nil && a.Forward.Stickiness.Enabled {
			return nil, aws.Errorf("InvalidLoadBalancerAction", "Stickiness of target groups is not served here; leave it disabled")
		}
		named := a.TargetGroupARN == "" || len(a.Forward.TargetGroups) == 1 && a.Forward.TargetGroups[0].ARN == a.TargetGroupARN
		if !named && len(a.Forward.TargetGroups) > 0 {
			return nil, aws.Errorf(codeValidation, "TargetGroupArn and ForwardConfig name different target groups; use one of them")
		}
		if len(a.Forward.TargetGroups) > 0 {
			given = a.Forward.TargetGroups
		}
	}
	if given[0].ARN == "" {
		return nil, aws.Errorf(codeValidation, "A target group ARN must be specified for forward actions")
	}
	var shares []elbv2.Share
	for _, weighted := range given {
		share, err := op.share(l, weighted)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(shares, func(s elbv2.Share) bool { return s.TargetGroup == share.TargetGroup }) {
			return nil, aws.Errorf(codeValidation, "The target group '%s' is in the action twice", weighted.ARN)
		}
		shares = append(shares, share)
	}
	return shares, nil
}

// share finds the target group of a share, which must be in the load balancer's VPC and no other load balancer's.
func (op *call) share(l *elbv2.LoadBalancer, weighted elbv2.WeightedGroup) (elbv2.Share, error) {
	g, err := targetGroups.read(op, weighted.ARN)
	if err != nil {
		return elbv2.Share{}, err
	}
	if g.VPC != l.VPC {
		return elbv2.Share{}, aws.Errorf(codeConfiguration, "The target group '%s' is not in %s, the VPC of the load balancer", g.ARN, l.VPC)
	}
	users, err := op.usersOf(g)
	for _, user := range users {
		if user.ID != l.ID {
			return elbv2.Share{}, aws.Errorf("TargetGroupAssociationLimit", "The target group '%s' cannot be associated with more than one load balancer; '%s' uses it", g.ARN, user.ARN)
		}
	}
	share := elbv2.Share{TargetGroup: g.ID, Weight: 1}
	if weighted.Weight != nil {
		share.Weight = *weighted.Weight
	}
	return share, err
}

func fixedResponse(c *elbv2.FixedResponseConfig) (*elbv2.FixedResponse, error) {
	if c == nil {
		return nil, aws.Errorf(codeValidation, "FixedResponseConfig must be specified for fixed-response actions")
	}
	if !slices.Contains(contentTypes, c.ContentType) {
		return nil, aws.Errorf(codeValidation, "The content type '%s' is not valid for a fixed response", c.ContentType)
	}
	status, err := strconv.Atoi(c.StatusCode)
	if err != nil {
		return nil, aws.Errorf(codeValidation, "The status code '%s' is not a number", c.StatusCode)
	}
	return &elbv2.FixedResponse{Status: status, ContentType: c.ContentType, Body: c.MessageBody}, nil
}

// describeAction is an action as callers see it. A single target group is named in both places, as AWS does.
func (op *call) describeAction(a elbv2.Action) (elbv2.ActionDescription, error) {
	if a.Fixed != nil {
		return elbv2.ActionDescription{Type: actionFixed, Order: 1, Fixed: &elbv2.FixedResponseConfig{
			MessageBody: a.Fixed.Body, StatusCode: strconv.Itoa(a.Fixed.Status), ContentType: a.Fixed.ContentType,
		}}, nil
	}
	forward := &elbv2.ForwardConfig{Stickiness: &elbv2.ForwardStickiness{}}
	for _, share := range a.Forward {
		g, err := targetGroups.Objects.Get(op.Tx, share.TargetGroup)
		if err != nil {
			return elbv2.ActionDescription{}, err
		}
		forward.TargetGroups = append(forward.TargetGroups, elbv2.WeightedGroup{ARN: g.ARN, Weight: &share.Weight})
	}
	d := elbv2.ActionDescription{Type: actionForward, Order: 1, Forward: forward}
	if len(forward.TargetGroups) == 1 {
		d.TargetGroupARN = forward.TargetGroups[0].ARN
	}
	return d, nil
}
