package ec2_test

import (
	"slices"
	"strings"
	"testing"

	nouns "pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/store"
)

// allow is a request for a single permission of a group, to a range of addresses.
func allow(group, protocol string, from, to int32, cidr string) nouns.PermissionsRequest {
	return nouns.PermissionsRequest{GroupID: group, SinglePermission: nouns.SinglePermission{
		Protocol: protocol, FromPort: &from, ToPort: &to, CIDR: cidr}}
}

// rules are all rules of a group, in order of direction, protocol and peer.
func (w *world) rules(group string) []nouns.SecurityGroupRule {
	w.t.Helper()
	all := must(w, w.DescribeSecurityGroupRules, nouns.DescribeSecurityGroupRulesRequest{Filters: []nouns.Filter{
		{Name: "group-id", Values: []string{group}}}}).Rules
	slices.SortFunc(all, func(a, b nouns.SecurityGroupRule) int {
		return strings.Compare(told(a), told(b))
	})
	return all
}

// told is a rule in one line.
func told(r nouns.SecurityGroupRule) string {
	way, peer := "in ", r.CIDR+r.CIDR6+r.PrefixListID
	if r.IsEgress {
		way = "out "
	}
	if r.Group != nil {
		peer = r.Group.ID
	}
	return way + r.Protocol + " " + peer
}

// TestErrorsOfPermissions has the texts that tools and people look for.
func TestErrorsOfPermissions(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	group, foreign := w.group(vpc, "web"), w.group(w.vpc("10.0.0.0/16"), "web")
	peer := func(p nouns.PermittedGroup) nouns.PermissionsRequest {
		return nouns.PermissionsRequest{GroupID: group, Permissions: []nouns.IPPermission{
			{Protocol: "-1", Groups: nouns.Set[nouns.PermittedGroup]{p}}}}
	}
	twice := allow(group, "tcp", 22, 22, "10.0.0.0/8")
	twice.Permissions = []nouns.IPPermission{{Protocol: "6", FromPort: twice.FromPort, ToPort: twice.ToPort,
		Ranges: nouns.Set[nouns.PermittedRange]{{CIDR: "10.9.9.9/8"}}}}
	noPorts, noProtocol := twice, allow(group, "", 22, 22, "10.0.0.0/8")
	noPorts.Permissions, noPorts.ToPort = nil, nil
	described := peer(nouns.PermittedGroup{ID: group, Description: "é"})
	there := []nouns.PermissionsRequest{
		allow(group, "TCP", 5439, 5439, "0.0.0.0/0"), allow(group, "-1", 0, 0, "10.0.0.1/19"),
		allow(group, "icmp", 8, -1, "0.0.0.0/0"), allow(group, "050", 1, 2, "0.0.0.0/0"),
		peer(nouns.PermittedGroup{ID: group}),
	}
	for _, in := range there {
		must(w, w.AuthorizeSecurityGroupIngress, in)
	}
	before := w.rules(group)
	for _, c := range []struct {
		in   nouns.PermissionsRequest
		code string
		text string
	}{
		{there[0], "InvalidPermission.Duplicate",
			`the specified rule "peer: 0.0.0.0/0, TCP, from port: 5439, to port: 5439, ALLOW" already exists`},
		{there[1], "InvalidPermission.Duplicate", `"peer: 10.0.0.0/19, ALL, ALLOW"`},
		{there[2], "InvalidPermission.Duplicate", `"peer: 0.0.0.0/0, ICMP, type: 8, code: ALL, ALLOW"`},
		{there[3], "InvalidPermission.Duplicate", `"peer: 0.0.0.0/0, 50, ALLOW"`},
		{there[4], "InvalidPermission.Duplicate", `"peer: ` + group + `, ALL, ALLOW"`},
		{twice, "InvalidParameterValue", "The same permission must not appear multiple times"},
		{noPorts, "InvalidParameterValue", "Must specify both from and to ports with TCP/UDP."},
		{noProtocol, "InvalidParameterValue", "Invalid value 'null' for protocol."},
		{allow(group, "icmp", -1, 0, "0.0.0.0/0"), "InvalidParameterValue", "must be -1 for all types"},
		{allow(group, "udp", 1, 2, "10.0.0.0/33"), "InvalidParameterValue", "CIDR block 10.0.0.0/33 is malformed"},
		{allow(group, "udp", 1, 2, ""), "MissingParameter", "a range of addresses"},
		{allow("", "udp", 1, 2, "10.0.0.0/8"), "MissingParameter", "groupId"},
		{allow("web", "udp", 1, 2, "10.0.0.0/8"), "InvalidGroupId.Malformed", `Invalid id: "web" (expecting "sg-...")`},
		{nouns.PermissionsRequest{GroupName: "web"}, "VPCIdNotSpecified", "No default VPC"},
		{nouns.PermissionsRequest{GroupName: "web", GroupID: group}, "InvalidParameterCombination", "together"},
		{nouns.PermissionsRequest{GroupID: group, SinglePermission: nouns.SinglePermission{SourceName: "web"}},
			"VPCIdNotSpecified", "No default VPC"},
		{peer(nouns.PermittedGroup{Name: "web"}), "VPCIdNotSpecified", "No default VPC"},
		{peer(nouns.PermittedGroup{ID: foreign}), "InvalidGroup.NotFound", "belong to different networks"},
		{peer(nouns.PermittedGroup{ID: group, OwnerID: "200000000002"}), "InvalidGroup.NotFound", "does not exist"},
		{peer(nouns.PermittedGroup{ID: "sg-0"}), "InvalidGroup.NotFound", "The security group 'sg-0' does not exist"},
		{described, "InvalidParameterValue", "Invalid rule description"},
	} {
		_, err := w.AuthorizeSecurityGroupIngress(w.ctx, w.caller, &c.in)
		if codeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v, want %s %s", c.in, err, c.code, c.text)
		}
	}
	if after := w.rules(group); len(after) != len(before) {
		t.Errorf("what was refused changed %+v to %+v", before, after)
	}
	for _, in := range []nouns.RevokedPermissionsRequest{{PermissionsRequest: peer(nouns.PermittedGroup{ID: foreign})},
		{PermissionsRequest: allow(group, "tcp", 1, 1, "0.0.0.0/0")}} {
		refused(w, w.RevokeSecurityGroupIngress, in, "InvalidPermission.NotFound")
		refused(w, w.RevokeSecurityGroupEgress, in, "InvalidPermission.NotFound")
	}
	only := nouns.PermissionsRequest{GroupID: group}
	refused(w, w.RevokeSecurityGroupIngress, nouns.RevokedPermissionsRequest{PermissionsRequest: only}, "MissingParameter")
	refused(w, w.RevokeSecurityGroupIngress, nouns.RevokedPermissionsRequest{PermissionsRequest: only,
		RuleIDs: []string{"x"}}, "InvalidSecurityGroupRuleId.Malformed")
	refused(w, w.DescribeSecurityGroupRules, nouns.DescribeSecurityGroupRulesRequest{IDs: []string{"x"}},
		"InvalidSecurityGroupRuleId.Malformed")
	refused(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{GroupName: "web"}, "VPCIdNotSpecified")
	refused(w, w.DescribeSecurityGroups, nouns.DescribeSecurityGroupsRequest{Names: []string{"web"}}, "VPCIdNotSpecified")
	refused(w, w.CreateSecurityGroup, nouns.CreateSecurityGroupRequest{VPCID: vpc, Name: "é", Description: "d"},
		"InvalidParameterValue")
	refused(w, w.CreateSecurityGroup, nouns.CreateSecurityGroupRequest{VPCID: vpc, Name: "e", Description: "<d>"},
		"InvalidParameterValue")
}

func TestModifySecurityGroupRules(t *testing.T) {
	w := newWorldWith(t, map[string]int{nouns.QuotaRules.Code: 12})
	vpc := w.vpc("10.0.0.0/16")
	group, peer, foreign := w.group(vpc, "web"), w.group(vpc, "peer"), w.group(w.vpc("10.0.0.0/16"), "web")
	port := int32(80)
	in := nouns.PermissionsRequest{GroupID: group, Permissions: []nouns.IPPermission{{Protocol: "tcp", FromPort: &port,
		ToPort: &port,
		Ranges: nouns.Set[nouns.PermittedRange]{{CIDR: "10.1.0.0/16", Description: "one"}, {CIDR: "10.2.0.0/16"}},
		Groups: nouns.Set[nouns.PermittedGroup]{{ID: group}}}},
		TagSpecification: []nouns.TagSpecification{{ResourceType: "security-group-rule", Tags: []nouns.Tag{{Key: "a"}}}}}
	made := must(w, w.AuthorizeSecurityGroupIngress, in).Rules
	one, two, own := made[0].ID, made[1].ID, made[2].ID
	list := must(w, w.CreateManagedPrefixList, nouns.CreateManagedPrefixListRequest{Name: "offices", Family: "IPv4",
		MaxEntries: 8}).List.ID
	listed := must(w, w.AuthorizeSecurityGroupIngress, nouns.PermissionsRequest{GroupID: group,
		Permissions: []nouns.IPPermission{{Protocol: "-1",
			PrefixLists: nouns.Set[nouns.PermittedList]{{ID: list}}}}}).Rules[0].ID
	large := must(w, w.CreateManagedPrefixList, nouns.CreateManagedPrefixListRequest{Name: "more", Family: "IPv4",
		MaxEntries: 11}).List.ID
	range4 := func(cidr string) nouns.SecurityGroupRuleRequest {
		return nouns.SecurityGroupRuleRequest{Protocol: "6", FromPort: &port, ToPort: &port, CIDR: cidr}
	}
	all := func(rule nouns.SecurityGroupRuleRequest) nouns.SecurityGroupRuleRequest {
		rule.Protocol = "-1"
		return rule
	}
	to := func(id string, rule nouns.SecurityGroupRuleRequest) nouns.SecurityGroupRuleUpdate {
		return nouns.SecurityGroupRuleUpdate{ID: id, Rule: rule}
	}
	modify := func(updates ...nouns.SecurityGroupRuleUpdate) nouns.ModifySecurityGroupRulesRequest {
		return nouns.ModifySecurityGroupRulesRequest{GroupID: group, Rules: updates}
	}
	type rule = nouns.SecurityGroupRuleRequest
	for code, updates := range map[string][]nouns.SecurityGroupRuleUpdate{
		"InvalidPermission.Duplicate: already exists": {to(one, range4("10.2.9.9/16"))},
		"InvalidParameterCombination: Only one of cidrIp": {
			to(one, all(rule{CIDR: "10.0.0.0/8", CIDR6: "::/0"}))},
		"MissingParameter: a range of addresses":                  {to(one, all(rule{}))},
		"InvalidParameterValue: Invalid value 'null'":             {to(one, rule{CIDR: "10.0.0.0/8"})},
		"InvalidParameterValue: Must specify both":                {to(one, rule{Protocol: "udp", CIDR: "10.0.0.0/8"})},
		"InvalidParameterValue: is malformed":                     {to(one, range4("10.0.0.0"))},
		"InvalidSecurityGroupRuleId.NotFound: 'sgr-0'":            {to("sgr-0", range4("10.3.0.0/16"))},
		"InvalidSecurityGroupRuleId.Malformed: Invalid id: \"x\"": {to("x", range4("10.3.0.0/16"))},
		"InvalidSecurityGroupRuleId.NotFound: does not exist":     {to(w.rules(peer)[0].ID, range4("10.3.0.0/16"))},
		"InvalidGroup.NotFound: different networks":               {to(own, all(rule{PeerGroupID: foreign}))},
		"InvalidPrefixListID.NotFound: 'pl-0'":                    {to(listed, all(rule{PrefixListID: "pl-0"}))},
		"RulesPerSecurityGroupLimitExceeded: quota":               {to(listed, all(rule{PrefixListID: large}))},
		"InvalidParameterValue: You may not specify CidrIpv6 for an existing IPv4 CIDR rule.": {
			to(one, all(rule{CIDR6: "::/0"}))},
		"InvalidParameterValue: You may not specify CidrIpv4 for an existing referenced security group rule.": {
			to(two, range4("10.3.0.0/16")), to(own, range4("10.4.0.0/16"))},
	} {
		in := modify(updates...)
		_, err := w.ModifySecurityGroupRules(w.ctx, w.caller, &in)
		want, text, _ := strings.Cut(code, ": ")
		if codeOf(err) != want || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %s", err, code)
		}
	}
	if rules := w.rules(group); told(rules[1]) != "in tcp 10.1.0.0/16" || told(rules[2]) != "in tcp 10.2.0.0/16" {
		t.Errorf("what was refused changed the rules to %+v", rules)
	}
	must(w, w.ModifySecurityGroupRules, modify( // the first two change places
		to(one, range4("10.2.0.0/16")), to(two, range4("10.1.0.0/16")),
		to(own, nouns.SecurityGroupRuleRequest{Protocol: "all", FromPort: &port, ToPort: &port, PeerGroupID: peer,
			Description: "peers"})))
	rules := w.rules(group)
	if rules[1].ID != own || told(rules[1]) != "in -1 "+peer || rules[1].FromPort != -1 ||
		rules[1].Description != "peers" || rules[1].Group.OwnerID != w.caller.Account || len(rules[1].Tags) != 1 {
		t.Errorf("the group's rule is %+v", rules[1])
	}
	if rules[2].ID != two || told(rules[2]) != "in tcp 10.1.0.0/16" || rules[3].ID != one || rules[3].Description != "" {
		t.Errorf("the ranges' rules are %+v", rules[2:])
	}
	refused(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: peer}, "DependencyViolation")
	must(w, w.ModifySecurityGroupRules, modify(to(own, all(rule{PeerGroupID: group}))))
	must(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: peer})
}

func TestRuleDescriptions(t *testing.T) {
	w := newWorld(t)
	group := w.group(w.vpc("10.0.0.0/16"), "web")
	rule := must(w, w.AuthorizeSecurityGroupIngress, allow(group, "tcp", 80, 80, "10.0.0.0/8")).Rules[0].ID
	named := func(description string) nouns.RuleDescriptionsRequest {
		in := nouns.IPPermission{Protocol: "6", FromPort: new(int32), ToPort: new(int32),
			Ranges: nouns.Set[nouns.PermittedRange]{{CIDR: "10.0.0.0/8", Description: description}}}
		*in.FromPort, *in.ToPort = 80, 80
		return nouns.RuleDescriptionsRequest{GroupID: group, Permissions: []nouns.IPPermission{in}}
	}
	byID := func(id, description string) nouns.RuleDescriptionsRequest {
		return nouns.RuleDescriptionsRequest{GroupID: group,
			Descriptions: []nouns.RuleDescription{{ID: id, Description: description}}}
	}
	both := named("both")
	both.Descriptions = byID(rule, "both").Descriptions
	for _, c := range []struct {
		in   nouns.RuleDescriptionsRequest
		want string
		code string
	}{
		{named("one"), "one", ""},
		{byID(rule, "two"), "two", ""},
		{byID("sgr-0", "x"), "two", "InvalidSecurityGroupRuleId.NotFound"},
		{byID(rule, "<x>"), "two", "InvalidParameterValue"},
		{both, "two", "InvalidParameterCombination"},
		{nouns.RuleDescriptionsRequest{GroupID: group}, "two", "MissingParameter"},
		{nouns.RuleDescriptionsRequest{GroupName: "web"}, "two", "VPCIdNotSpecified"},
		{byID(rule, ""), "", ""},
	} {
		if c.code == "" {
			must(w, w.UpdateSecurityGroupRuleDescriptionsIngress, c.in)
		} else {
			refused(w, w.UpdateSecurityGroupRuleDescriptionsIngress, c.in, c.code)
		}
		if got := w.rules(group)[0].Description; got != c.want {
			t.Errorf("%+v: the description is %q, want %q", c.in, got, c.want)
		}
	}
	// A rule is found in its own direction alone.
	refused(w, w.UpdateSecurityGroupRuleDescriptionsEgress, named("x"), "InvalidPermission.NotFound")
	refused(w, w.UpdateSecurityGroupRuleDescriptionsEgress, byID(rule, "x"), "InvalidSecurityGroupRuleId.NotFound")
	must(w, w.UpdateSecurityGroupRuleDescriptionsEgress, byID(w.rules(group)[1].ID, "all"))
}

func TestFiltersOfSecurityGroups(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	web, app := w.group(vpc, "web"), w.group(vpc, "app")
	must(w, w.AuthorizeSecurityGroupIngress, allow(web, "tcp", 80, 81, "10.0.0.0/8"))
	must(w, w.AuthorizeSecurityGroupIngress, allow(web, "udp", 53, 53, "11.0.0.0/8"))
	must(w, w.AuthorizeSecurityGroupEgress, nouns.PermissionsRequest{GroupID: app, Permissions: []nouns.IPPermission{
		{Protocol: "icmpv6", IPv6Ranges: nouns.Set[nouns.PermittedRange6]{{CIDR: "fd00::/8"}}},
		{Protocol: "-1", Groups: nouns.Set[nouns.PermittedGroup]{{ID: web}}}}})
	list := must(w, w.CreateManagedPrefixList, nouns.CreateManagedPrefixListRequest{Name: "offices", Family: "IPv4",
		MaxEntries: 1}).List.ID
	must(w, w.AuthorizeSecurityGroupIngress, nouns.PermissionsRequest{GroupID: app, Permissions: []nouns.IPPermission{
		{Protocol: "-1", PrefixLists: nouns.Set[nouns.PermittedList]{{ID: list}}}}})
	for _, c := range []struct{ filters, want string }{
		{"ip-permission.cidr=10.0.0.0/8", "web"},
		{"ip-permission.cidr=10.*", "web"},
		{"ip-permission.protocol=tcp", "web"},
		{"ip-permission.protocol=-1", "app default"},
		{"ip-permission.from-port=80", "web"},
		{"ip-permission.to-port=81", "web"},
		{"ip-permission.to-port=-1", ""},
		{"ip-permission.protocol=tcp ip-permission.to-port=53", "web"}, // of two rules
		{"ip-permission.prefix-list-id=" + list, "app"},
		{"ip-permission.group-id=" + w.defaultGroup(vpc).ID, "default"},
		{"ip-permission.group-name=def*", "default"},
		{"ip-permission.user-id=" + w.caller.Account, "default"},
		{"ip-permission.ipv6-cidr=fd00::/8", ""},
		{"egress.ip-permission.ipv6-cidr=fd00::/8", "app"},
		{"egress.ip-permission.from-port=-1 group-name=app", "app"},
		{"egress.ip-permission.group-id=" + web, "app"},
		{"egress.ip-permission.group-name=web", "app"},
		{"egress.ip-permission.group-name=nobody", ""},
		{"egress.ip-permission.user-id=" + w.caller.Account, "app"},
		{"egress.ip-permission.cidr=0.0.0.0/0", "app default web"},
		{"egress.ip-permission.protocol=icmpv6", "app"},
	} {
		in := nouns.DescribeSecurityGroupsRequest{}
		for _, filter := range strings.Fields(c.filters) {
			name, value, _ := strings.Cut(filter, "=")
			in.Filters = append(in.Filters, nouns.Filter{Name: name, Values: []string{value}})
		}
		var names []string
		for _, group := range must(w, w.DescribeSecurityGroups, in).Groups {
			names = append(names, group.Name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.filters, got, c.want)
		}
	}
	refused(w, w.DescribeSecurityGroups, nouns.DescribeSecurityGroupsRequest{Filters: []nouns.Filter{
		{Name: "ip-permission.colour", Values: []string{"red"}}}}, "InvalidParameterValue")
}

// TestConditionKeysOfSecurityGroups lets a user change the group that a condition is about, and nothing else.
func TestConditionKeysOfSecurityGroups(t *testing.T) {
	w := newWorld(t)
	vpc, other := w.vpc("10.0.0.0/16"), w.vpc("10.0.0.0/16")
	mine, sibling, foreign := w.group(vpc, "mine"), w.group(vpc, "sibling"), w.group(other, "foreign")
	rule := w.rules(mine)[0].ID
	tag := []nouns.Tag{{Key: "team", Value: "red"}}
	must(w, w.CreateTags, nouns.CreateTagsRequest{Resources: []string{mine, rule}, Tags: tag})
	admin := w.caller
	for _, c := range []struct{ condition, groups, rules string }{
		{`"ec2:SecurityGroupID":"` + mine + `"`, "mine", ""},
		{`"ec2:Vpc":"arn:aws:ec2:us-west-2:100000000001:vpc/` + vpc + `"`, "mine sibling", ""},
		{`"ec2:ResourceTag/team":"red"`, "mine", "mine"},
	} {
		user := iam.User{Entity: iam.Entity{Account: admin.Account, Name: "ada", Path: "/", UniqueID: "AIDA"}}
		user.Inline = map[string]string{"own": `{"Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*",` +
			`"Condition":{"StringEquals":{` + c.condition + `}}}}`}
		if _, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
			return store.NewKind[iam.User](iam.KindUser).Put(tx, iam.ID(user.Account, user.Name), user)
		}); err != nil {
			t.Fatal(err)
		}
		w.caller = iam.Caller{Account: user.Account, ARN: user.ARN(), UserID: user.UniqueID, Type: iam.TypeUser}
		for name, group := range map[string]string{"mine": mine, "sibling": sibling, "foreign": foreign} {
			in := nouns.PermissionsRequest{GroupID: group}
			want := "UnauthorizedOperation"
			if slices.Contains(strings.Fields(c.groups), name) {
				want = "MissingParameter"
			}
			refused(w, w.AuthorizeSecurityGroupIngress, in, want)
		}
		want := "UnauthorizedOperation"
		if c.rules != "" {
			want = "InvalidParameterValue" // of what the rule is to be
		}
		refused(w, w.ModifySecurityGroupRules, nouns.ModifySecurityGroupRulesRequest{GroupID: mine,
			Rules: []nouns.SecurityGroupRuleUpdate{{ID: rule}}}, want)
		// The condition keys of a group do not count for the VPC.
		refused(w, w.CreateTags, nouns.CreateTagsRequest{Resources: []string{mine, vpc}, Tags: tag}, "UnauthorizedOperation")
		w.caller = admin
	}
}

// TestAnInstanceChangesItsGroups by itself and by its interface, and its groups are free then.
func TestAnInstanceChangesItsGroups(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	subnet := w.subnet(vpc, "10.0.0.0/24")
	other := w.vpc("10.9.0.0/16")
	first, second, foreign := w.group(vpc, "first"), w.group(vpc, "second"), w.group(other, "foreign")
	id := must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet}).Instances[0].ID
	is := func(want ...string) {
		t.Helper()
		var got []string
		for _, g := range w.describe(id).Groups {
			got = append(got, g.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the instance is in %v, want %v", got, want)
		}
	}
	must(w, w.ModifyInstanceAttribute, nouns.ModifyInstanceAttributeRequest{InstanceID: id,
		Groups: []string{first, second}})
	is(first, second)
	refused(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: first}, "DependencyViolation")
	eni := w.describe(id).NetworkInterfaces[0].ID
	must(w, w.ModifyNetworkInterfaceAttribute,
		nouns.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceID: eni, Groups: []string{second}})
	is(second)
	must(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: first})
	for code, in := range map[string]nouns.ModifyInstanceAttributeRequest{
		"InvalidGroup.NotFound":      {InstanceID: id, Groups: []string{first}},
		"InvalidParameter":           {InstanceID: id, Groups: []string{foreign}},
		"MissingParameter":           {InstanceID: id},
		"InvalidInstanceID.NotFound": {InstanceID: "i-0", Groups: []string{second}},
		"SecurityGroupsPerInterfaceLimitExceeded": {InstanceID: id,
			Groups: []string{second, second, second, second, second, second}},
	} {
		refused(w, w.ModifyInstanceAttribute, in, code)
	}
	refused(w, w.ModifyNetworkInterfaceAttribute, nouns.ModifyNetworkInterfaceAttributeRequest{NetworkInterfaceID: "eni-0",
		Groups: []string{second}}, "InvalidNetworkInterfaceID.NotFound")
	is(second)
}
