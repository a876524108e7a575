package lattice

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Kind is a kind of object: the name under which the store keeps it, the resource type of its ARN and the prefix of
// its ids in one.
type Kind struct {
	// Name is the resource type in ARNs ("service") and the kind's name in the store.
	Name string
	// Prefix begins every id of the kind ("svc-").
	Prefix string
	// ResourceType names the kind in the resourceType member of errors ("SERVICE").
	ResourceType string
}

// The kinds of object that this package defines.
var (
	KindServiceNetwork                   = Kind{"servicenetwork", "sn-", "SERVICE_NETWORK"}
	KindService                          = Kind{"service", "svc-", "SERVICE"}
	KindListener                         = Kind{"listener", "listener-", "LISTENER"}
	KindRule                             = Kind{"rule", "rule-", "RULE"}
	KindTargetGroup                      = Kind{"targetgroup", "tg-", "TARGET_GROUP"}
	KindTarget                           = Kind{"target", "", "TARGET"}
	KindServiceNetworkServiceAssociation = Kind{"servicenetworkserviceassociation", "snsa-", "SERVICE_NETWORK_SERVICE_ASSOCIATION"}
	KindServiceNetworkVPCAssociation     = Kind{"servicenetworkvpcassociation", "snva-", "SERVICE_NETWORK_VPC_ASSOCIATION"}

	KindResourceGateway                   = Kind{"resourcegateway", "rgw-", "RESOURCE_GATEWAY"}
	KindResourceConfiguration             = Kind{"resourceconfiguration", "rcfg-", "RESOURCE_CONFIGURATION"}
	KindServiceNetworkResourceAssociation = Kind{"servicenetworkresourceassociation", "snra-",
		"SERVICE_NETWORK_RESOURCE_ASSOCIATION"}
	KindDomainVerification          = Kind{"domainverification", "dv-", "DOMAIN_VERIFICATION"}
	KindResourceEndpointAssociation = Kind{"resourceendpointassociation", "rea-", "RESOURCE_ENDPOINT_ASSOCIATION"}
)

// idDigits is the number of hexadecimal digits after an id's prefix. Hexadecimal satisfies each of the patterns that
// the model has for ids.
const idDigits = 17

// NewID makes an id of the kind from 68 random bits: its prefix and 17 lower-case hexadecimal digits.
func (k Kind) NewID(random io.Reader) string { return k.Prefix + NewSuffix(random) }

// NewSuffix makes the random part of an id. It panics when the source of randomness fails, which the operating
// system's never does.
func NewSuffix(random io.Reader) string {
	var raw [(idDigits + 1) / 2]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		panic(fmt.Sprintf("lattice: no randomness for an id: %v", err))
	}
	return hex.EncodeToString(raw[:])[:idDigits]
}

// ARN identifies a resource across accounts and regions: arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE.
type ARN struct {
	Service, Region, Account string
	// Resource is all that follows the account, such as "service/svc-…/listener/listener-…".
	Resource string
}

// String is the ARN in the form that crosses the wire.
func (a ARN) String() string {
	return "arn:aws:" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// ParseARN takes an ARN apart. It accepts any partition, and refuses what has fewer than six parts.
func ParseARN(s string) (ARN, error) {
	var parts [6]string
	rest, more := s, true
	for i := range 5 {
		if parts[i], rest, more = strings.Cut(rest, ":"); !more {
			break
		}
	}
	parts[5] = rest
	if !more || parts[0] != "arn" {
		return ARN{}, fmt.Errorf("%q is no ARN: want arn:partition:service:region:account:resource", s)
	}
	return ARN{Service: parts[2], Region: parts[3], Account: parts[4], Resource: parts[5]}, nil
}

// Home is where a resource lives: the deployment's region and the account that owns the resource.
type Home struct{ Region, Account string }

// ARN names a resource of this kind. For a listener or a rule, path is the whole path below "service/", such as
// "svc-…/listener/listener-…"; for all others it is the id.
func (p Home) ARN(k Kind, path string) string {
	resource := k.Name + "/" + path
	if k == KindListener || k == KindRule {
		resource = KindService.Name + "/" + path
	}
	return ARN{"vpc-lattice", p.Region, p.Account, resource}.String()
}

// VPCARN names a VPC, as it appears in x-amzn-lattice-network.
func (p Home) VPCARN(id string) string {
	return ARN{"ec2", p.Region, p.Account, "vpc/" + id}.String()
}

// IDOf reduces an identifier, which callers may give as an id or as an ARN, to the id: what follows the last slash.
func IDOf(identifier string) string {
	return identifier[strings.LastIndexByte(identifier, '/')+1:]
}

// AccountOf is the account in an ARN, or "" for an identifier that is no ARN.
func AccountOf(identifier string) string {
	arn, err := ParseARN(identifier)
	if err != nil {
		return ""
	}
	return arn.Account
}

// partitionLabel is the label between a service's own and the service's domain in every generated name.
const partitionLabel = "7d67968"

// DomainSuffix ends every generated service name of a region.
func DomainSuffix(region string) string {
	return partitionLabel + ".vpc-lattice-svcs." + region + ".on.aws"
}

// DomainName is the generated name of a service: its own name, the random part of its id, and the region's suffix.
func DomainName(name, id, region string) string {
	return name + "-" + strings.TrimPrefix(id, KindService.Prefix) + "." + DomainSuffix(region)
}

// HostedZoneID is the id of the hosted zone of all generated names with a suffix: Z and 20 letters and digits that
// depend on that only, so that they are the same on every server and after every restart.
func HostedZoneID(suffix string) string {
	sum := sha256.Sum256([]byte("hosted zone of " + suffix))
	return "Z" + base32.HexEncoding.EncodeToString(sum[:])[:20]
}
