package control

import (
	"strings"
	"testing"

	"pergola/aws/iam"
	"pergola/lattice"
)

// only is the same user every time, who from now on may do what one statement says.
func (w *world) only(statement string) iam.Caller {
	w.t.Helper()
	return w.user(account, "only", iam.Permissions{Inline: map[string]string{"own": `{"Version":"2012-10-17","Statement":[` + statement + `]}`}})
}

// TestExistenceIsNotTold looks for what there is and for what there is not: who may see neither hears the same of both.
func TestExistenceIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "parking", Tags: lattice.Tags{"team": "red"}})).ID
	listener := w.listener(service, "web", 80, answer404)
	other, none := w.service("other"), id("svc-", "none")
	get := func(caller iam.Caller, service string) error {
		_, err := w.GetService(w.ctx, caller, &lattice.GetServiceRequest{ServiceIdentifier: service})
		return err
	}
	reds := w.only(`{"Effect":"Allow","Action":"vpc-lattice:Get*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}}`)
	if err := get(reds, service); err != nil {
		t.Error(err)
	}
	for _, unseen := range []string{other, none, w.home(account).ARN(lattice.KindService, none)} {
		refused(t, get(reds, unseen), lattice.AccessDenied, "not authorized to perform: vpc-lattice:GetService on resource: "+
			w.home(account).ARN(lattice.KindService, lattice.IDOf(unseen)))
	}
	for _, service := range []string{service, none} {
		for _, listener := range []string{listener, id("listener-", "none")} {
			_, err := w.GetRule(w.ctx, reds, &lattice.GetRuleRequest{ServiceIdentifier: service, ListenerIdentifier: listener, RuleIdentifier: id("rule-", "none")})
			refused(t, err, lattice.AccessDenied, service+"/listener/"+listener+"/rule/"+id("rule-", "none"))
		}
	}
	one := w.only(`{"Effect":"Allow","Action":"*","Resource":"` + w.home(account).ARN(lattice.KindService, none) + `*"}`)
	refused(t, get(one, none), lattice.NotFound, none)
	refused(t, get(one, service), lattice.AccessDenied, service)
	_, err := w.GetListener(w.ctx, one, &lattice.GetListenerRequest{ServiceIdentifier: none, ListenerIdentifier: listener})
	refused(t, err, lattice.NotFound, none)
}

// TestAssociationsNeedEveryResource creates an association with permissions on some of its resources.
func TestAssociationsNeedEveryResource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, service := w.network("retail"), w.service("parking")
	home := w.home(account)
	resources := []string{
		home.ARN(lattice.KindServiceNetworkServiceAssociation, "*"), home.ARN(lattice.KindServiceNetwork, network),
		home.ARN(lattice.KindService, service),
	}
	in := &lattice.CreateServiceNetworkServiceAssociationRequest{ServiceNetworkIdentifier: network, ServiceIdentifier: service}
	for i, missing := range resources {
		with := resources[(i+1)%3] + `","` + resources[(i+2)%3]
		_, err := w.CreateServiceNetworkServiceAssociation(w.ctx, w.only(`{"Effect":"Allow","Action":"*","Resource":["`+with+`"]}`), in)
		refused(t, err, lattice.AccessDenied, "CreateServiceNetworkServiceAssociation on resource: "+missing)
	}
	all := `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ArnEquals":{"vpc-lattice:ServiceArn":"` + resources[2] + `","vpc-lattice:ServiceNetworkArn":"` + resources[1] + `"}}}`
	made := must(w.CreateServiceNetworkServiceAssociation(w.ctx, w.only(all), in))
	must(w.GetServiceNetworkServiceAssociation(w.ctx, w.only(all), &lattice.GetServiceNetworkServiceAssociationRequest{Identifier: made.ID}))
}

// TestConditionKeysOfActions allows operations only with the condition keys that their requests give.
func TestConditionKeysOfActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	service, group, another := w.service("parking"), w.group("fleet", vpc), w.group("spare", vpc)
	when := func(operator, key, value string) iam.Caller {
		return w.only(`{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"},{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"*","Condition":{"` + operator + `":{"vpc-lattice:` + key + `":"` + value + `"}}}`)
	}
	listener := &lattice.CreateListenerRequest{ServiceIdentifier: service, Name: "web", Protocol: lattice.ProtocolHTTP, DefaultAction: forward(group)}
	groupARN := w.home(account).ARN(lattice.KindTargetGroup, group)
	_, err := w.CreateListener(w.ctx, when("StringEquals", "Protocol", "HTTPS"), listener)
	refused(t, err, lattice.AccessDenied, "vpc-lattice:CreateListener on resource: arn:aws:vpc-lattice:us-west-2:100000000001:service/"+service+"/listener/*")
	_, err = w.CreateListener(w.ctx, when("ForAllValues:ArnEquals", "TargetGroupArns",
		w.home(account).ARN(lattice.KindTargetGroup, another)), listener)
	refused(t, err, lattice.AccessDenied, "vpc-lattice:CreateListener")
	made := must(w.CreateListener(w.ctx, when("ForAnyValue:ArnEquals", "TargetGroupArns", groupARN), listener))
	rule := w.rule(service, made.ID, "get", 1, forward(group))
	batch := &lattice.BatchUpdateRuleRequest{ServiceIdentifier: service, ListenerIdentifier: made.ID, Rules: []lattice.RuleUpdate{
		{RuleIdentifier: rule, Action: new(forward(group))}, {RuleIdentifier: rule, Priority: 7},
	}}
	_, err = w.BatchUpdateRule(w.ctx, when("ForAnyValue:ArnEquals", "TargetGroupArns", groupARN), batch)
	refused(t, err, lattice.AccessDenied, "vpc-lattice:UpdateRule on resource: arn:aws:vpc-lattice:us-west-2:100000000001:service/"+service+"/listener/"+made.ID+"/rule/"+rule)
	_, err = w.UpdateService(w.ctx, when("StringEquals", "AuthType", "AWS_IAM"), &lattice.UpdateServiceRequest{ServiceIdentifier: service, AuthType: lattice.AuthNone})
	refused(t, err, lattice.AccessDenied, "vpc-lattice:UpdateService")
	network := w.network("retail")
	_, err = w.CreateServiceNetworkVPCAssociation(w.ctx, when("StringEquals", "VpcId", "vpc-other"), &lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network, VPCIdentifier: vpc})
	refused(t, err, lattice.AccessDenied, "vpc-lattice:CreateServiceNetworkVpcAssociation")
	joined := must(w.CreateServiceNetworkVPCAssociation(w.ctx, when("StringEquals", "VpcId", vpc), &lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network, VPCIdentifier: vpc})).ID
	w.settleNow()
	members := w.securityGroup("members", vpc)
	change := &lattice.UpdateServiceNetworkVPCAssociationRequest{Identifier: joined, SecurityGroupIDs: []string{members}}
	_, err = w.UpdateServiceNetworkVPCAssociation(w.ctx, when("ForAnyValue:StringEquals", "SecurityGroupIds", "sg-other"), change)
	refused(t, err, lattice.AccessDenied, "vpc-lattice:UpdateServiceNetworkVpcAssociation")
	must(w.UpdateServiceNetworkVPCAssociation(w.ctx, when("ForAnyValue:StringEquals", "SecurityGroupIds", members), change))
}

// TestPermissionsInEC2 calls what reads of EC2 with and without the permission for that (user guide, Amazon VPC Lattice API
// permissions).
func TestPermissionsInEC2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	group := w.groupOf("fleet", lattice.TargetInstance, lattice.TargetGroupConfig{VPCIdentifier: vpc, Protocol: lattice.TargetHTTP})
	network, members := w.network("retail"), w.securityGroup("members", vpc)
	w.settleNow()
	calls := map[string]func(iam.Caller) error{
		"RegisterTargets": func(c iam.Caller) error {
			_, err := w.RegisterTargets(w.ctx, c, &lattice.RegisterTargetsRequest{TargetGroupIdentifier: group, Targets: []lattice.Target{{ID: "i-none"}}})
			return err
		},
		"CreateTargetGroup": func(c iam.Caller) error {
			_, err := w.CreateTargetGroup(w.ctx, c, &lattice.CreateTargetGroupRequest{Name: "other", Type: lattice.TargetIP, Config: &lattice.TargetGroupConfig{VPCIdentifier: vpc}})
			return err
		},
		"CreateServiceNetworkVpcAssociation": func(c iam.Caller) error {
			_, err := w.CreateServiceNetworkVPCAssociation(w.ctx, c, &lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network, VPCIdentifier: vpc, SecurityGroupIDs: []string{members}})
			return err
		},
	}
	const own = `{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"*"},`
	for action, needs := range map[string][]string{
		"RegisterTargets":                    {"ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeInstances"},
		"CreateTargetGroup":                  {"ec2:DescribeVpcs"},
		"CreateServiceNetworkVpcAssociation": {"ec2:DescribeVpcs", "ec2:DescribeSecurityGroups"},
	} {
		for _, missing := range needs {
			who := w.only(own + `{"Effect":"Allow","NotAction":"` + missing + `","Resource":"*"}`)
			refused(t, calls[action](who), lattice.AccessDenied, missing+" on resource: *")
		}
		if err := calls[action](w.only(own + `{"Effect":"Allow","Action":["` + strings.Join(needs, `","`) + `"],"Resource":"*"}`)); err != nil {
			t.Errorf("%s: %v", action, err)
		}
	}
}

// TestListingsNeedAllResources lists with permission on all of a kind, which is not enough.
func TestListingsNeedAllResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	some := w.only(`{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"arn:aws:vpc-lattice:*:*:service/*"}`)
	_, err := w.ListServices(w.ctx, some, &lattice.ListServicesRequest{})
	refused(t, err, lattice.AccessDenied, "vpc-lattice:ListServices on resource: * because no identity-based policy allows")
	_, err = w.ListListeners(w.ctx, some, &lattice.ListListenersRequest{ServiceIdentifier: w.service("parking")})
	refused(t, err, lattice.AccessDenied, "vpc-lattice:ListListeners on resource: *")
}
