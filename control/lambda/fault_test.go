package lambda

import (
	"testing"

	"pergola/aws"
	"pergola/aws/lambda"
)

// TestFault_A10_CodeAndConcurrencyHaveQuotas goes beyond what an account may store, and may reserve.
func TestFault_A10_CodeAndConcurrencyHaveQuotas(t *testing.T) {
	w := newWorld(t)
	w.Control.Quotas = aws.Quotas{lambda.QuotaCodeStorage.Code: 1} // which one small function has used up
	w.create("one")
	w.Control.Quotas[lambda.QuotaCodeStorage.Code] = 0
	refused(w, w.CreateFunction, lambda.CreateFunctionRequest{
		FunctionName: "two", Runtime: "provided.al2023", Handler: "bootstrap", Role: "arn:aws:iam::" + account + ":role/" +
			roleName, Code: w.code("two"),
	}, "CodeStorageExceededException")
	must(w, w.PutFunctionConcurrency, lambda.PutConcurrencyRequest{FunctionName: "one",
		Reserved: int32(lambda.QuotaConcurrency.Default - unreserved)})
	refused(w, w.PutFunctionConcurrency, lambda.PutConcurrencyRequest{FunctionName: "one",
		Reserved: int32(lambda.QuotaConcurrency.Default - unreserved + 1)}, "InvalidParameterValueException")
}
