package ec2

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
