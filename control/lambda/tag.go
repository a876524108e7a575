package lambda

import (
	"maps"

	"pergola/aws/lambda"
	"pergola/lattice"
)

// maxTags is how many tags a function may have (Lambda developer guide, "Using tags on Lambda functions").
const maxTags = 50

// isARN refuses names of functions that are not ARNs.
func isARN(name string) error {
	if _, err := lambda.ParseARN(name); err != nil {
		return invalid("%v", err)
	}
	return nil
}

// ListTags lists the tags of a function.
func (op *call) ListTags(in *lambda.ListTagsRequest) (*lambda.ListTagsResponse, error) {
	if err := isARN(in.Resource); err != nil {
		return nil, err
	}
	f, _, err := op.unqualified(in.Resource)
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
	return op.retag(in.Resource, func(tags map[string]string) { maps.Copy(tags, in.Tags) })
}

// UntagResource removes tags from a function.
func (op *call) UntagResource(in *lambda.UntagResourceRequest) (*lattice.Empty, error) {
	op.Set("aws:TagKeys", in.TagKeys...)
	return op.retag(in.Resource, func(tags map[string]string) {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
	})
}

func (op *call) retag(arn string, change func(map[string]string)) (*lattice.Empty, error) {
	if err := isARN(arn); err != nil {
		return nil, err
	}
	return done(op.edit(arn, func(f *lambda.Function) error {
		if f.Tags == nil {
			f.Tags = map[string]string{}
		}
		if change(f.Tags); len(f.Tags) > maxTags {
			return invalid("A function may have %d tags at most", maxTags)
		}
		return nil
	}))
}

// PutFunctionConcurrency says how many invocations of a function may go on at once; with 0 none may.
func (op *call) PutFunctionConcurrency(in *lambda.PutConcurrencyRequest) (*lambda.Concurrency, error) {
	return &lambda.Concurrency{Reserved: &in.Reserved}, op.edit(in.FunctionName, func(f *lambda.Function) error {
		f.Concurrency = &in.Reserved
		return op.roomForConcurrency(f, in.Reserved)
	})
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
	return done(op.edit(in.FunctionName, func(f *lambda.Function) error {
		f.Concurrency = nil
		return nil
	}))
}

// GetFunctionCodeSigningConfig says that a function's code need not be signed.
func (op *call) GetFunctionCodeSigningConfig(in *lambda.CodeSigningRequest) (*lambda.CodeSigningResponse, error) {
	f, _, err := op.unqualified(in.FunctionName)
	if err != nil {
		return nil, err
	}
	return &lambda.CodeSigningResponse{FunctionName: f.Name}, nil
}
