package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// versions are the names under which the whole tree stands, the oldest first. All of them have the same content: what a
// later version added does not harm a client that asks for an earlier one.
var versions = []string{
	"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04",
	"2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30",
	"2016-09-02", "2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23",
	"2021-07-15", "2022-09-24", "2024-04-11", "latest",
}

func isVersion(name string) bool { return slices.Contains(versions, name) }

// find answers a path below one version. A path is an item's, or a directory's, with a slash at its end or without; an
// item's name has no slash after it.
func (s *Server) find(ctx context.Context, i Instance, path string) (content string, found bool, err error) {
	items := s.items(i)
	for _, item := range items {
		if item.path == path {
			content, err = item.read(ctx)
			return content, true, err
		}
	}
	content, found = list(items, strings.TrimSuffix(path, "/"))
	return content, found, nil
}

// list names what is in a directory, a line each: items by their names, directories with a slash at the end.
func list(items []item, directory string) (string, bool) {
	var names []string
	for _, item := range items {
		rest, below := item.path, true
		if directory != "" {
			rest, below = strings.CutPrefix(item.path, directory+"/")
		}
		if !below {
			continue
		}
		name, _, isDirectory := strings.Cut(rest, "/")
		if isDirectory {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "\n"), len(names) > 0
}

// item is one thing that an instance can ask for: where it is, below the version, and its content.
type item struct {
	path string
	read func(context.Context) (string, error)
}

// text is an item whose content is at hand.
func text(path, content string) item {
	return item{path, func(context.Context) (string, error) { return content, nil }}
}

// items are all that there is for an instance to know.
func (s *Server) items(i Instance) []item {
	items := []item{
		{"dynamic/instance-identity/document", func(context.Context) (string, error) { return s.document(i), nil }},
		text("meta-data/ami-id", i.Image),
		text("meta-data/hostname", i.Hostname),
		text("meta-data/instance-id", i.ID),
		text("meta-data/instance-life-cycle", "on-demand"),
		text("meta-data/instance-type", i.Type),
		text("meta-data/local-hostname", i.Hostname),
		text("meta-data/local-ipv4", i.Address.String()),
		text("meta-data/mac", i.MAC.String()),
		text("meta-data/placement/availability-zone", i.AvailabilityZone),
		text("meta-data/placement/region", s.region),
		text("meta-data/security-groups", namesOf(i.SecurityGroups)),
		text("meta-data/services/domain", "amazonaws.com"),
		text("meta-data/services/partition", "aws"),
	}
	items = append(items, networkInterface(i)...)
	items = append(items, s.identity(i)...)
	items = append(items, tags(i)...)
	if i.UserData != "" {
		items = append(items, text("user-data", i.UserData))
	}
	if i.Image == "" {
		items = slices.DeleteFunc(items, func(it item) bool { return it.path == "meta-data/ami-id" })
	}
	return items
}

func namesOf(groups []Group) string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	return strings.Join(names, "\n")
}

// networkInterface is the one network interface of an instance.
func networkInterface(i Instance) []item {
	if i.MAC == nil {
		return nil
	}
	ids := make([]string, len(i.SecurityGroups))
	for n, g := range i.SecurityGroups {
		ids[n] = g.ID
	}
	at := "meta-data/network/interfaces/macs/" + i.MAC.String() + "/"
	return []item{
		text(at+"device-number", "0"),
		text(at+"local-hostname", i.Hostname),
		text(at+"local-ipv4s", i.Address.String()),
		text(at+"mac", i.MAC.String()),
		text(at+"owner-id", i.Account),
		text(at+"security-group-ids", strings.Join(ids, "\n")),
		text(at+"security-groups", namesOf(i.SecurityGroups)),
		text(at+"subnet-id", i.Subnet),
		text(at+"subnet-ipv4-cidr-block", i.SubnetCIDR.String()),
		text(at+"vpc-id", i.VPC),
		text(at+"vpc-ipv4-cidr-block", i.VPCCIDR.String()),
		text(at+"vpc-ipv4-cidr-blocks", i.VPCCIDR.String()),
	}
}

// tellable are the keys of tags that can be part of a path (EC2 user guide, "View tags for your EC2 instances using
// instance metadata"). Tags with other keys are left out.
var tellable = regexp.MustCompile(`^[\p{L}\p{N}+\-=.,_:@ ]+$`)

func tags(i Instance) (items []item) {
	if !i.Options.Tags {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(i.Tags)) {
		if tellable.MatchString(key) && key != "." && key != ".." {
			items = append(items, text("meta-data/tags/instance/"+key, i.Tags[key]))
		}
	}
	return items
}

// identity is what an instance with an instance profile may know of it, and the credentials of the role in it.
func (s *Server) identity(i Instance) []item {
	if i.Profile == nil {
		return nil
	}
	items := []item{{"meta-data/iam/info", func(context.Context) (string, error) {
		return encode(struct {
			Code, LastUpdated string
			ARN               string `json:"InstanceProfileArn"`
			ID                string `json:"InstanceProfileId"`
		}{success, instant(s.now()), i.Profile.ARN, i.Profile.ID}), nil
	}}}
	if i.Profile.Role != "" {
		items = append(items, item{"meta-data/iam/security-credentials/" + i.Profile.Role, func(ctx context.Context) (string, error) {
			return s.credentials(ctx, i)
		}})
	}
	return items
}

// success is the Code of an answer about identity that is what was asked for.
const success = "Success"

// credentials is the document with the credentials of the role. A role that does not let instances have its sessions is
// not a failure of the service: clients read the reason in the document.
func (s *Server) credentials(ctx context.Context, i Instance) (string, error) {
	credential, obtained, err := s.sessions.of(ctx, i)
	switch {
	case errors.Is(err, ErrUntrusted):
		return encode(struct{ Code, Message, LastUpdated string }{
			"AssumeRoleUnauthorizedAccess",
			fmt.Sprintf("EC2 cannot assume the role %s: its trust policy must allow ec2.amazonaws.com the action sts:AssumeRole", i.Profile.Role),
			instant(s.now()),
		}), nil
	case err != nil:
		return "", fmt.Errorf("credentials of the role %s: %w", i.Profile.Role, err)
	}
	return encode(struct {
		Code, LastUpdated, Type string
		AccessKeyID             string `json:"AccessKeyId"`
		SecretAccessKey, Token  string
		Expiration              string
	}{
		success, instant(obtained), "AWS-HMAC",
		credential.AccessKeyID, credential.Secret, credential.Token, instant(credential.Expires),
	}), nil
}

// document is the instance identity document. What instances here never have is null in it, as it is there.
func (s *Server) document(i Instance) string {
	return encode(struct {
		AccountID               string   `json:"accountId"`
		Architecture            string   `json:"architecture"`
		AvailabilityZone        string   `json:"availabilityZone"`
		BillingProducts         []string `json:"billingProducts"`
		DevpayProductCodes      []string `json:"devpayProductCodes"`
		MarketplaceProductCodes []string `json:"marketplaceProductCodes"`
		ImageID                 string   `json:"imageId"`
		InstanceID              string   `json:"instanceId"`
		InstanceType            string   `json:"instanceType"`
		KernelID                *string  `json:"kernelId"`
		PendingTime             string   `json:"pendingTime"`
		PrivateIP               string   `json:"privateIp"`
		RAMDiskID               *string  `json:"ramdiskId"`
		Region                  string   `json:"region"`
		Version                 string   `json:"version"`
	}{
		AccountID: i.Account, Architecture: i.Architecture, AvailabilityZone: i.AvailabilityZone, ImageID: i.Image, InstanceID: i.ID,
		InstanceType: i.Type, PendingTime: instant(i.Launched), PrivateIP: i.Address.String(), Region: s.region, Version: "2017-09-30",
	})
}

// instant is a time as the service writes it: UTC with whole seconds.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func encode(document any) string {
	encoded, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("metadata: a document that cannot be encoded: %v", err)) // documents have nothing but strings
	}
	return string(encoded)
}
