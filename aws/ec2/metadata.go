package ec2

// MetadataOptionsChanges are the metadata options that a request sets. What it leaves out stays as it is.
type MetadataOptionsChanges struct {
	Tokens   string `query:"HttpTokens" check:"enum=optional|required"`
	Endpoint string `query:"HttpEndpoint" check:"enum=enabled|disabled"`
	HopLimit *int32 `query:"HttpPutResponseHopLimit" check:"range=1..64"`
	IPv6     string `query:"HttpProtocolIpv6" check:"enum=enabled|disabled"`
	Tags     string `query:"InstanceMetadataTags" check:"enum=enabled|disabled"`
}

type ModifyMetadataOptionsRequest struct {
	InstanceID string `query:"InstanceId" check:"required"`
	MetadataOptionsChanges
}

type ModifyMetadataOptionsResponse struct {
	InstanceID string                     `xml:"instanceId"`
	Options    MetadataOptionsDescription `xml:"instanceMetadataOptions"`
}

// MetadataOptionsDescription are metadata options as callers see them. State is pending in the answer of the request
// that has set them, and then applied.
type MetadataOptionsDescription struct {
	State    string `xml:"state"`
	Tokens   string `xml:"httpTokens"`
	HopLimit int32  `xml:"httpPutResponseHopLimit"`
	Endpoint string `xml:"httpEndpoint"`
	IPv6     string `xml:"httpProtocolIpv6"`
	Tags     string `xml:"instanceMetadataTags"`
}

// Describe are the options as callers see them.
func (o MetadataOptions) Describe(state string) MetadataOptionsDescription {
	tokens := "required"
	if o.TokensOptional {
		tokens = "optional"
	}
	return MetadataOptionsDescription{
		State: state, Tokens: tokens, HopLimit: max(o.HopLimit, 1), Endpoint: onOff(!o.Disabled), IPv6: onOff(false), Tags: onOff(o.Tags),
	}
}

func onOff(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}
