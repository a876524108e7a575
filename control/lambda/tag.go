package lambda

import (
	"maps"

	"pergola/aws/lambda"
	"pergola/lattice"
)

// maxTags is how many tags a function may have (Lambda developer guide, "Using tags on Lambda functions").
const maxTags = 50

// tagged finds the function that has the tags.
func (op *call) tagged(arn string) (*lambda.Function, error) {
	if _, err := lambda.ParseARN(arn); err != nil {
		return nil, invalid("%v", err)
	}
	f, _, err := op.unqualified(arn)
	return f, err
}

// ListTags lists the tags of a function.
func (op *call) ListTags(in *lambda.ListTagsRequest) (*lambda.ListTagsResponse, error) {
	f, err := op.tagged(in.Resource)
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	maps.Copy(tags, f.Tags)
	return &lambda.ListTagsResponse{Tags: tags}, nil
}

// TagResource adds tags to a function, or gives new values to those that it has.
func (op *call) TagResource(in *lambda.TagResourceRequest) (*lattice.Empty, error) {
	op.SetTags(in.Tags)
	f, err := op.tagged(in.Resource)
	if err != nil {
		return nil, err
	}
	if f.Tags == nil {
		f.Tags = map[string]string{}
	}
	if maps.Copy(f.Tags, in.Tags); len(f.Tags) > maxTags {
		return nil, invalid("A function may have %d tags at most", maxTags)
	}
	return done(op.put(f))
}

// UntagResource removes tags from a function.
func (op *call) UntagResource(in *lambda.UntagResourceRequest) (*lattice.Empty, error) {
	op.Set("aws:TagKeys", in.TagKeys...)
	f, err := op.tagged(in.Resource)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(f.Tags, key)
	}
	return done(op.put(f))
}

// PutFunctionConcurrency says how many invocations of a function may go on at once; with 0 none may.
func (op *call) PutFunctionConcurrency(in *lambda.PutConcurrencyRequest) (*lambda.Concurrency, error) {
	f, _, err := op.unqualified(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if err := op.roomForConcurrency(f, in.Reserved); err != nil {
		return nil, err
	}
	f.Concurrency = &in.Reserved
	return &lambda.Concurrency{Reserved: f.Concurrency}, op.put(f)
}

// GetFunctionConcurrency returns what PutFunctionConcurrency has set, if it has.
func (op *call) GetFunctionConcurrency(in *lambda.GetConcurrencyRequest) (*lambda.Concurrency, error) {
	f, _, err := op.unqualified(in.FunctionName)
	if err != nil {
		return nil, err
	}
	return &lambda.Concurrency{Reserved: f.Concurrency}, nil
}

// DeleteFunctionConcurrency leaves the number of invocations to the deployment.
func (op *call) DeleteFunctionConcurrency(in *lambda.DeleteConcurrencyRequest) (*lattice.Empty, error) {
	f, _, err := op.unqualified(in.FunctionName)
	if err != nil {
		return nil, err
	}
	f.Concurrency = nil
	return done(op.put(f))
}

// GetFunctionCodeSigningConfig says that a function's code need not be signed.
func (op *call) GetFunctionCodeSigningConfig(in *lambda.CodeSigningRequest) (*lambda.CodeSigningResponse, error) {
	f, _, err := op.unqualified(in.FunctionName)
	if err != nil {
		return nil, err
	}
	return &lambda.CodeSigningResponse{FunctionName: f.Name}, nil
}
