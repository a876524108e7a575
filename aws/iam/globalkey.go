package iam

import (
	"strconv"
	"time"
)

// Facts are what is known of a request when the API or the data plane authorises it. They answer the
// global condition keys (IAM user guide, "AWS global condition context keys"), but for those that follow from the
// principal itself, which package policy answers, and the tags; the API and the data plane each have their own form of
// those.
type Facts struct {
	// Time is when the request came.
	Time time.Time
	// Region is where; "" leaves the key out.
	Region string
	// Origin is how it came, nil where there is no request.
	Origin *Origin
	// Temporary says that the principal has temporary credentials; the fields of its session follow.
	Temporary bool
	// Issued is when these were issued; the zero value leaves the key out. SourceIdentity and Federation are those of a
	// Session.
	Issued                     time.Time
	SourceIdentity, Federation string
	// Organization and OrganizationPath are where the principal's account is, the path with a slash at its end; "" outside
	// of an organisation.
	Organization, OrganizationPath string
	// ResourceAccount is the account of the resource, and the others are where that is.
	ResourceAccount, ResourceOrganization, ResourceOrganizationPath string
}

// GlobalKeys are the condition keys that Facts answer, in lower case. Those whose value AWS has for some requests alone
// are absent for all others:
//
//   - keys of a session, with a long-term key and for nobody. aws:MultiFactorAuthPresent is false in every session, as
//     there are no devices, and so aws:MultiFactorAuthAge never has a value;
//   - keys of an organisation, outside of one;
//   - aws:SourceVpc and aws:VpcSourceIp, for calls that come from a VPC to the API, as through an endpoint; these have
//     no aws:SourceIp.
//
// Services call nothing in a caller's name: aws:ViaAWSService is false, and aws:CalledVia absent.
var GlobalKeys = []string{
	"aws:currenttime", "aws:epochtime", "aws:federatedprovider", "aws:multifactorauthpresent", "aws:principalorgid",
	"aws:principalorgpaths", "aws:referer", "aws:requestedregion", "aws:resourceaccount", "aws:resourceorgid",
	"aws:resourceorgpaths", "aws:securetransport", "aws:sourceidentity", "aws:sourceip", "aws:sourcevpc",
	"aws:tokenissuetime", "aws:useragent", "aws:viaawsservice", "aws:vpcsourceip",
}

// AppendValue appends the value of a global condition key to b, and nothing where the request does not have the key.
// All of them have one value at most.
func (f *Facts) AppendValue(b []byte, key string) []byte {
	switch key {
	case "aws:currenttime":
		return f.Time.UTC().AppendFormat(b, time.RFC3339)
	case "aws:epochtime":
		return strconv.AppendInt(b, f.Time.Unix(), 10)
	case "aws:requestedregion":
		return append(b, f.Region...)
	case "aws:principalorgid":
		return append(b, f.Organization...)
	case "aws:principalorgpaths":
		return append(b, f.OrganizationPath...)
	case "aws:resourceaccount":
		return append(b, f.ResourceAccount...)
	case "aws:resourceorgid":
		return append(b, f.ResourceOrganization...)
	case "aws:resourceorgpaths":
		return append(b, f.ResourceOrganizationPath...)
	case "aws:viaawsservice":
		return append(b, "false"...)
	}
	if f.Temporary {
		b = f.appendSession(b, key)
	}
	if f.Origin != nil {
		b = f.Origin.appendValue(b, key)
	}
	return b
}

// appendSession answers the keys of temporary credentials.
func (f *Facts) appendSession(b []byte, key string) []byte {
	switch key {
	case "aws:multifactorauthpresent":
		return append(b, "false"...)
	case "aws:tokenissuetime":
		if !f.Issued.IsZero() {
			b = f.Issued.UTC().AppendFormat(b, time.RFC3339)
		}
	case "aws:sourceidentity":
		return append(b, f.SourceIdentity...)
	case "aws:federatedprovider":
		return append(b, f.Federation...)
	}
	return b
}

func (o *Origin) appendValue(b []byte, key string) []byte {
	address := "aws:sourceip"
	if o.VPC != "" {
		address = "aws:vpcsourceip"
	}
	switch {
	case key == address && o.Address.IsValid():
		return o.Address.Unmap().WithZone("").AppendTo(b)
	case key == "aws:sourcevpc":
		return append(b, o.VPC...)
	case key == "aws:securetransport":
		return strconv.AppendBool(b, o.Secure)
	case key == "aws:useragent":
		return append(b, o.UserAgent...)
	case key == "aws:referer":
		return append(b, o.Referer...)
	}
	return b
}
