package acm

import "pergola/aws"

// QuotaCertificates is how many certificates an account may have, requested and imported ones together (ACM user guide,
// "Quotas").
var QuotaCertificates = aws.Quota{Code: "L-F141DD1D", Name: "ACM certificates", Default: 2500,
	Exceeded: "LimitExceededException"}
