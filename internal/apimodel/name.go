package apimodel

import (
	"regexp"
	"strings"
)

// initialisms are the words that Go writes in capitals.
var initialisms = map[string]string{
	"Acl": "ACL", "Acls": "ACLs", "Acm": "ACM", "Api": "API", "Apis": "APIs", "Arn": "ARN", "Arns": "ARNs",
	"Aws": "AWS", "Cidr": "CIDR", "Cidrs": "CIDRs", "Cpu": "CPU", "Dhcp": "DHCP", "Dns": "DNS", "Ebs": "EBS",
	"Grpc": "GRPC", "Http": "HTTP", "Https": "HTTPS", "Iam": "IAM", "Id": "ID", "Ids": "IDs", "Ip": "IP", "Ips": "IPs",
	"Ipv4": "IPv4", "Ipv6": "IPv6", "Json": "JSON", "Kms": "KMS", "Mac": "MAC", "Ram": "RAM", "Sha": "SHA",
	"Ssl": "SSL", "Tcp": "TCP", "Tls": "TLS", "Ttl": "TTL", "Udp": "UDP", "Uri": "URI", "Url": "URL", "Urls": "URLs",
	"Vpc": "VPC", "Vpcs": "VPCs", "Vpn": "VPN", "Xml": "XML",
}

// words parts a name: Ipv6CidrBlock into Ipv6, Cidr and Block.
var words = regexp.MustCompile(`[A-Z]+[a-z0-9]*|[a-z0-9]+`)

// GoName is a name of the model as Go writes it, exported.
func GoName(name string) string {
	return words.ReplaceAllStringFunc(upper(name), func(word string) string {
		if capitals, ok := initialisms[word]; ok {
			return capitals
		}
		return word
	})
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
