package lambda

import "pergola/aws"

// QuotaCodeStorage is how many MB of code the functions of an account and their versions may have (Lambda developer
// guide, "Lambda quotas").
var QuotaCodeStorage = aws.Quota{Code: "L-2ACBD22F", Name: "Function and layer storage in MB", Default: 75 << 10,
	Exceeded: "CodeStorageExceededException"}

// QuotaConcurrency is how many invocations an account may reserve for its functions together.
var QuotaConcurrency = aws.Quota{Code: "L-B99A9384", Name: "Concurrent executions", Default: 1000,
	Exceeded: "InvalidParameterValueException"}
