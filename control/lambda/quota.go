package lambda

import (
	"pergola/aws"
	"pergola/aws/lambda"
)

// roomForCode refuses more code than an account may have. What the transaction has written counts.
func (op *call) roomForCode() error {
	versions, err := allVersions(op.Tx, lambda.ID(op.Account, ""))
	if err != nil {
		return err
	}
	var total int64
	for _, v := range versions {
		total += v.CodeSize
	}
	const megabyte = 1 << 20
	return op.Quotas.Room(lambda.QuotaCodeStorage, int((total+megabyte-1)/megabyte))
}

// roomed passes on the answer to a request that has brought code, if there is room for that.
func roomed[R any](op *call, answer *R, err error) (*R, error) {
	if err == nil {
		err = op.roomForCode()
	}
	return answer, err
}

// unreserved is how much of the concurrency of an account stays for functions that reserve none (Lambda developer
// guide, "Configuring reserved concurrency").
const unreserved = 100

// roomForConcurrency refuses to reserve for a function what would leave too little for the others.
func (op *call) roomForConcurrency(f *lambda.Function, wanted int32) error {
	functions, err := below(op.Tx, functionObjects, lambda.ID(op.Account, ""))
	if err != nil {
		return err
	}
	total := int(wanted)
	for _, other := range functions {
		if other.Name != f.Name && other.Concurrency != nil {
			total += int(*other.Concurrency)
		}
	}
	if limit := op.Quotas.Limit(lambda.QuotaConcurrency); total > max(0, limit-unreserved) {
		return aws.Errorf(lambda.QuotaConcurrency.Exceeded,
			"Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "+
				"minimum value of [%d]; raise quota %s, which is %d, or reserve less",
			unreserved, lambda.QuotaConcurrency.Code, limit)
	}
	return nil
}
