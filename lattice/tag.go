package lattice

type TagResourceRequest struct {
	ResourceARN string `uri:"resourceArn" check:"required,len=0..1224,pattern=arn"`
	Tags        Tags   `json:"tags" check:"required,len=0..200,pattern=tags"`
}

type UntagResourceRequest struct {
	ResourceARN string   `uri:"resourceArn" check:"required,len=0..1224,pattern=arn"`
	TagKeys     []string `query:"tagKeys" check:"required,len=0..200,each=(len=1..128)"`
}

type ListTagsForResourceRequest struct {
	ResourceARN string `uri:"resourceArn" check:"required,len=0..1224,pattern=arn"`
}

type ListTagsForResourceResponse struct {
	Tags Tags `json:"tags,omitempty"`
}

// MaxTags is how many tags one resource may have.
const MaxTags = 50
