package api

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pattern is a regular expression with its meaning in words.
type pattern struct {
	expression *regexp.Regexp
	meaning    string
}

// patterns are those of the published model, anchored unless the model's own are not. It gives none for domain names;
// theirs is that of RFC 1123 §2.1, with at least two labels.
var patterns = map[string]pattern{
	"visible":       {regexp.MustCompile(`[!-~]`), "must contain a visible ASCII character"},
	"domain":        {regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`), "must be a domain name such as www.example.com"},
	"certificate":   {regexp.MustCompile(`^(arn(:[a-z0-9]+([.-][a-z0-9]+)*){2}(:([a-z0-9]+([.-][a-z0-9]+)*)?){2}:certificate/[0-9a-z-]+)?$`), "must be the ARN of a certificate"},
	"path":          {regexp.MustCompile(`^/[a-zA-Z0-9@:%_+.~#?&/=-]*$`), "must be a path that begins with / and has no characters but letters, digits and @:%_+.~#?&/=-"},
	"healthpath":    {regexp.MustCompile(`^(/[a-zA-Z0-9@:%_+.~#?&/=-]*)?$`), "must be empty or a path that begins with / and has no characters but letters, digits and @:%_+.~#?&/=-"},
	"codes":         {regexp.MustCompile(`^[0-9,-]*$`), "must be status codes and ranges of them, such as 200,202-204"},
	"vpc":           {regexp.MustCompile(`^vpc-([0-9a-z]{8}|[0-9a-z]{17})$`), "must be the id of a VPC, vpc- and 8 or 17 letters or digits"},
	"securitygroup": {regexp.MustCompile(`^sg-([0-9a-z]{8}|[0-9a-z]{17})$`), "must be the id of a security group, sg- and 8 or 17 letters or digits"},
	"account":       {regexp.MustCompile(`^\d{12}$`), "must be the id of an account, 12 digits"},
	"email":         {regexp.MustCompile(`^[^\s@]+@[^\s@]+\.[^\s@]+$`), "must be an email address"},
	"printable":     {regexp.MustCompile(`^[ -~]+$`), "must have no characters but printable ASCII"},
	"tagtext":       {regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+@-]*$`), "must have no characters but letters, digits, spaces and _.:/=+-@"},

	"attribute":   {regexp.MustCompile(`^[a-zA-Z0-9._]+$`), "must have no characters but letters, digits, points and underscores"},
	"fixedstatus": {regexp.MustCompile(`^[245]\d\d$`), "must be a status code 2XX, 4XX or 5XX"},

	"entity":        {regexp.MustCompile(`^[\w+=,.@-]+$`), "must have no characters but letters, digits and _+=,.@-"},
	"entitypath":    {regexp.MustCompile(`^/([!-~]+/)?$`), "must be a path that begins and ends with /"},
	"policypath":    {regexp.MustCompile(`^(/[A-Za-z0-9.,+@=_-]+)*/$`), "must be a path that begins and ends with /, of letters, digits and .,+@=_-"},
	"pathprefix":    {regexp.MustCompile(`^/[!-~]*$`), "must be the beginning of a path, /…"},
	"document":      {regexp.MustCompile(`^[\t\n\r -\x{FF}]+$`), "must have no characters but those of ISO 8859-1"},
	"policyversion": {regexp.MustCompile(`^v[1-9][0-9]*$`), "must be the id of a version, v and a number"},
	"word":          {regexp.MustCompile(`^\w+$`), "must have no characters but letters, digits and underscores"},
	"externalid":    {regexp.MustCompile(`^[\w+=,.@:/-]+$`), "must have no characters but letters, digits and _+=,.@:/-"},

	"anyarn":          {regexp.MustCompile(`^arn:aws[a-zA-Z-]*:[a-zA-Z0-9-]+:([a-z]{2}(-[a-z]+)+-\d)?:(\d{12})?:.+$`), "must be an ARN"},
	"rolearn":         {regexp.MustCompile(`^arn:aws[a-zA-Z-]*:iam::\d{12}:role/[a-zA-Z0-9_+=,.@/-]+$`), "must be the ARN of a role"},
	"function":        {regexp.MustCompile(`^(arn:aws[a-zA-Z-]*:lambda:)?([a-z]{2}(-[a-z]+)+-\d:)?(\d{12}:)?(function:)?[a-zA-Z0-9_-]+(:(\$LATEST|[a-zA-Z0-9_-]+))?$`), "must be the name or the ARN of a function"},
	"qualifier":       {regexp.MustCompile(`^(\$LATEST|[a-zA-Z0-9_-]+)$`), "must be the name of an alias, the number of a version, or $LATEST"},
	"alias":           {regexp.MustCompile(`^[0-9]*[a-zA-Z_-][a-zA-Z0-9_-]*$`), "must have no characters but letters, digits, - and _, and be no number"},
	"functionversion": {regexp.MustCompile(`^(\$LATEST|[0-9]+)$`), "must be the number of a version, or $LATEST"},
	"handler":         {regexp.MustCompile(`^\S*$`), "must have no spaces"},
	"statementid":     {regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`), "must have no characters but letters, digits and _.-"},
	"lambdaaction":    {regexp.MustCompile(`^(lambda:(\*|[a-zA-Z]+)|\*)$`), "must be an action of Lambda, such as lambda:InvokeFunction"},
	"loggroup":        {regexp.MustCompile(`^[a-zA-Z0-9_./#-]+$`), "must have no characters but letters, digits and _./#-"},

	"organization":           {regexp.MustCompile(`^o-[a-z0-9]{10,32}$`), "must be the id of an organization, o-…"},
	"accountcreation":        {regexp.MustCompile(`^car-[a-z0-9]{8,32}$`), "must be the id of a request to create an account, car-…"},
	"organizationroot":       {regexp.MustCompile(`^` + rootID + `$`), "must be the id of a root, r-…"},
	"organizationunit":       {regexp.MustCompile(`^` + unitID + `$`), "must be the id of an organizational unit, ou-…"},
	"organizationparent":     {regexp.MustCompile(`^(` + rootID + `|` + unitID + `)$`), "must be the id of a root or of an organizational unit"},
	"organizationchild":      {regexp.MustCompile(`^(\d{12}|` + unitID + `)$`), "must be the id of an account or of an organizational unit"},
	"organizationtarget":     {regexp.MustCompile(`^(` + rootID + `|\d{12}|` + unitID + `)$`), "must be the id of a root, an organizational unit or an account"},
	"organizationpolicy":     {regexp.MustCompile(`^` + policyID + `$`), "must be the id of a policy, p-…"},
	"organizationresource":   {regexp.MustCompile(`^(` + rootID + `|\d{12}|` + unitID + `|` + policyID + `)$`), "must be the id of a root, an organizational unit, an account or a policy"},
	"organizationpolicytype": {regexp.MustCompile(`^((SERVICE_CONTROL|RESOURCE_CONTROL|TAG|BACKUP|AISERVICES_OPT_OUT|CHATBOT|SECURITYHUB|INSPECTOR|UPGRADE_ROLLOUT|BEDROCK|S3|NETWORK_SECURITY_DIRECTOR)_POLICY|DECLARATIVE_POLICY_EC2)$`), "must be a type of policy such as SERVICE_CONTROL_POLICY"},

	"acmarn":          {regexp.MustCompile(`^arn:[\w+=/,.@-]+:acm:[\w+=/,.@-]*:[0-9]+:[\w+=,.@-]+(/[\w+=,.@-]+)*$`), "must be the ARN of a certificate"},
	"certificatename": {regexp.MustCompile(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]$`), "must be a domain name such as www.example.com or *.example.com"},

	"guarded": {regexp.MustCompile(`^((sn|svc|rcfg)-[0-9a-z]{17}|arn(:[a-z0-9]+([.-][a-z0-9]+)*){2}(:([a-z0-9]+([.-][a-z0-9]+)*)?){2}:(servicenetwork/sn|service/svc|resourceconfiguration/rcfg)-[0-9a-z]{17})$`), "must be an id or an ARN of a service network or a service"},
	// The model allows 1,023 characters at the end; a single repetition cannot exceed 1,000 here.
	"arn": {regexp.MustCompile(
		`^arn:[a-z0-9][-.a-z0-9]{0,62}:vpc-lattice:([a-z0-9][-.a-z0-9]{0,62})?:\d{12}:[^/].{0,1000}.{0,23}$`),
		"must be the ARN of a VPC Lattice resource"},
	"wildcardarn": {regexp.MustCompile(
		`^arn:[a-z0-9][-.a-z0-9]{0,62}:[a-z0-9][-.a-z0-9]{0,62}:([a-z0-9][-.a-z0-9]{0,62})?:\d{12}:[^/].{0,1000}.{0,23}$`),
		"must be the ARN of a resource, with its account"},
}

// The forms of the ids of Organizations.
const (
	rootID   = `r-[0-9a-z]{4,32}`
	unitID   = `ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}`
	policyID = `p-[0-9a-zA-Z_]{8,128}`
)

// patternRule finds a pattern by the name that check tags use.
func patternRule(name string) (func(string) string, error) {
	p, ok := patterns[name]
	if !ok {
		return nil, fmt.Errorf("no pattern is called %q", name)
	}
	return p.fault, nil
}

// matchRule is the rule for a pattern that stands in the tag itself, with the characters that part constraints escaped.
// A pattern of a model is about the whole text.
func matchRule(escaped string) (func(string) string, error) {
	written, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, err
	}
	expression, err := regexp.Compile(`^(?:` + written + `)$`)
	if err != nil {
		return nil, err
	}
	return pattern{expression, "must match " + written}.fault, nil
}

func (p pattern) fault(s string) string {
	if p.expression.MatchString(s) {
		return ""
	}
	return p.meaning + ", is " + quoted(s)
}

// identifiers holds, by kind, the resource part of the kind's ARNs, which ends in the kind's id.
var identifiers = map[string]string{
	"servicenetwork":                   "servicenetwork/sn-",
	"service":                          "service/svc-",
	"listener":                         "service/svc-[0-9a-z]{17}/listener/listener-",
	"rule":                             "service/svc-[0-9a-z]{17}/listener/listener-[0-9a-z]{17}/rule/rule-",
	"targetgroup":                      "targetgroup/tg-",
	"servicenetworkserviceassociation": "servicenetworkserviceassociation/snsa-",
	"servicenetworkvpcassociation":     "servicenetworkvpcassociation/snva-",

	"resourcegateway":                   "resourcegateway/rgw-",
	"resourceconfiguration":             "resourceconfiguration/rcfg-",
	"servicenetworkresourceassociation": "servicenetworkresourceassociation/snra-",
	"domainverification":                "domainverification/dv-",
	"resourceendpointassociation":       "resourceendpointassociation/rea-",
}

// identifierRule is the rule for members that name a resource of a kind by its id or by its ARN.
func identifierRule(kind string) (func(string) string, error) {
	resource, ok := identifiers[kind]
	if !ok {
		return nil, fmt.Errorf("no kind is called %q; there are %v", kind, slices.Sorted(maps.Keys(identifiers)))
	}
	prefix := resource[strings.LastIndexByte(resource, '/')+1:]
	p := pattern{
		regexp.MustCompile(`^(` + prefix + `[0-9a-z]{17}|arn:[a-z0-9-]+:vpc-lattice:[a-zA-Z0-9-]+:\d{12}:` + resource + `[0-9a-z]{17})$`),
		"must be an id (" + prefix + " and 17 letters or digits) or an ARN of a " + kind,
	}
	return p.fault, nil
}

var nameExpression = regexp.MustCompile(`^[a-z0-9-]+$`)

// nameFault judges the name of a resource. It is written out because Go's regular expressions have no look-ahead.
func nameFault(name, reserved string) string {
	switch {
	case !nameExpression.MatchString(name):
		return "must have no characters but a-z, 0-9 and hyphens, is " + quoted(name)
	case name[0] == '-' || name[len(name)-1] == '-':
		return "must not begin or end with a hyphen, is " + quoted(name)
	case strings.Contains(name, "--"):
		return "must not have two hyphens in a row, is " + quoted(name)
	case reserved != "" && strings.HasPrefix(name, reserved):
		return "must not begin with " + reserved + ", is " + quoted(name)
	}
	return ""
}

// The limits of a tag (API reference, TagResource).
const (
	maxTagKey   = 128
	maxTagValue = 256
)

// tagsFault judges tags: the length and the characters of their keys and values, and that no key is in the namespace
// that is reserved to the service.
func tagsFault(tags map[string]string) string {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		value := tags[key]
		switch n := utf8.RuneCountInString(key); {
		case n < 1 || n > maxTagKey:
			return fmt.Sprintf("key %s must have 1 to %d characters", quoted(key), maxTagKey)
		case len(key) >= 4 && strings.EqualFold(key[:4], "aws:"):
			return fmt.Sprintf("key %s must not begin with aws:, which is reserved", quoted(key))
		case !tagText(key) || !tagText(value):
			return fmt.Sprintf("tag %s must have no characters but letters, digits, spaces and _.:/=+-@", quoted(key))
		case utf8.RuneCountInString(value) > maxTagValue:
			return fmt.Sprintf("the value of %s must have at most %d characters", quoted(key), maxTagValue)
		}
	}
	return ""
}

func tagText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsSpace(r) && !strings.ContainsRune("_.:/=+-@", r)
	})
}
