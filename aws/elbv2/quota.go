package elbv2

import "pergola/aws"

// The quotas of Application Load Balancers (Elastic Load Balancing, "Quotas for your Application Load Balancers").
var (
	QuotaLoadBalancers = aws.Quota{Code: "L-53DA6B97", Name: "Application Load Balancers per Region", Default: 50,
		Exceeded: "TooManyLoadBalancers"}
	QuotaTargetGroups = aws.Quota{Code: "L-B22855CB", Name: "Target Groups per Region", Default: 3000,
		Exceeded: "TooManyTargetGroups"}
	QuotaListeners = aws.Quota{Code: "L-B6DF7632", Name: "Listeners per Application Load Balancer", Default: 50,
		Exceeded: "TooManyListeners"}
	QuotaTargets = aws.Quota{Code: "L-7E6692B2", Name: "Targets per target group", Default: 1000,
		Exceeded: "TooManyTargets"}
)
