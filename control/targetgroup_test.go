package control

import (
	"encoding/json"
	"testing"

	"pergola/lattice"
)

func TestTargetGroupDefaults(t *testing.T) {
	const times = `"healthCheckIntervalSeconds":30,"healthCheckTimeoutSeconds":5,"healthyThresholdCount":5,"unhealthyThresholdCount":2`
	const vpc = `"vpcIdentifier":"vpc-1"`
	for what, test := range map[string]struct {
		kind        lattice.TargetGroupType
		given, want string
	}{
		"IP": {lattice.TargetIP, `{"vpcIdentifier":"vpc-1"}`,
			`{"port":443,"protocol":"HTTPS","protocolVersion":"HTTP1","ipAddressType":"IPV4",` + vpc + `,"healthCheck":{"enabled":true,"protocol":"HTTP","protocolVersion":"HTTP1","path":"/",` + times + `,"matcher":{"httpCode":"200"}}}`},
		"INSTANCE with HTTP": {lattice.TargetInstance, `{"vpcIdentifier":"vpc-1","protocol":"HTTP"}`,
			`{"port":80,"protocol":"HTTP","protocolVersion":"HTTP1","ipAddressType":"IPV4",` + vpc +
				`,"healthCheck":{"enabled":true,"protocol":"HTTP","protocolVersion":"HTTP1","path":"/",` + times +
				`,"matcher":{"httpCode":"200"}}}`},
		"HTTP2": {lattice.TargetInstance, `{"vpcIdentifier":"vpc-1","port":8443,"protocolVersion":"HTTP2"}`,
			`{"port":8443,"protocol":"HTTPS","protocolVersion":"HTTP2","ipAddressType":"IPV4",` + vpc +
				`,"healthCheck":{"enabled":false,"protocol":"HTTP","protocolVersion":"HTTP2","path":"/",` + times +
				`,"matcher":{"httpCode":"200"}}}`},
		"GRPC": {lattice.TargetInstance, `{"vpcIdentifier":"vpc-1","protocolVersion":"GRPC"}`,
			`{"port":443,"protocol":"HTTPS","protocolVersion":"GRPC","ipAddressType":"IPV4",` + vpc +
				`,"healthCheck":{"enabled":false,"protocol":"HTTP","path":"/",` + times + `,"matcher":{"httpCode":"200"}}}`},
		"GRPC with health checks": {lattice.TargetInstance, `{"vpcIdentifier":"vpc-1","protocolVersion":"GRPC","healthCheck":{"enabled":true,"protocolVersion":"HTTP2"}}`,
			`{"port":443,"protocol":"HTTPS","protocolVersion":"GRPC","ipAddressType":"IPV4",` + vpc +
				`,"healthCheck":{"enabled":true,"protocol":"HTTP","protocolVersion":"HTTP2","path":"/",` + times +
				`,"matcher":{"httpCode":"200"}}}`},
		"TCP": {lattice.TargetInstance, `{"vpcIdentifier":"vpc-1","protocol":"TCP","port":9000}`,
			`{"port":9000,"protocol":"TCP","ipAddressType":"IPV4",` + vpc + `}`},
		"HTTP2 with health checks": {lattice.TargetInstance, `{"vpcIdentifier":"vpc-1","protocolVersion":"HTTP2","healthCheck":{"enabled":true,"protocol":"HTTPS","protocolVersion":"HTTP1"}}`,
			`{"port":443,"protocol":"HTTPS","protocolVersion":"HTTP2","ipAddressType":"IPV4",` + vpc +
				`,"healthCheck":{"enabled":true,"protocol":"HTTPS","protocolVersion":"HTTP1","path":"/",` + times +
				`,"matcher":{"httpCode":"200"}}}`},
		"TCP with health checks": {lattice.TargetInstance, `{"vpcIdentifier":"vpc-1","protocol":"TCP","port":9000,"healthCheck":{"enabled":true,"protocol":"HTTPS","protocolVersion":"HTTP2"}}`,
			`{"port":9000,"protocol":"TCP","ipAddressType":"IPV4",` + vpc +
				`,"healthCheck":{"enabled":true,"protocol":"HTTPS","protocolVersion":"HTTP2","path":"/",` + times +
				`,"matcher":{"httpCode":"200"}}}`},
		"ALB": {lattice.TargetALB, `{"vpcIdentifier":"vpc-1","protocol":"HTTPS"}`,
			`{"port":443,"protocol":"HTTPS","protocolVersion":"HTTP1",` + vpc + `}`},
		"LAMBDA": {lattice.TargetLambda, `null`, `{"lambdaEventStructureVersion":"V1"}`},
		"what is given stays": {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","ipAddressType":"IPV6","healthCheck":{"enabled":false,"protocol":"HTTPS","port":81,"path":"/up","healthCheckIntervalSeconds":300,"healthCheckTimeoutSeconds":120,"healthyThresholdCount":10,"unhealthyThresholdCount":10,"matcher":{"httpCode":"200,300-499"}}}`,
			`{"port":443,"protocol":"HTTPS","protocolVersion":"HTTP1","ipAddressType":"IPV6",` + vpc + `,"healthCheck":{"enabled":false,"protocol":"HTTPS","protocolVersion":"HTTP1","port":81,"path":"/up","healthCheckIntervalSeconds":300,"healthCheckTimeoutSeconds":120,"healthyThresholdCount":10,"unhealthyThresholdCount":10,"matcher":{"httpCode":"200,300-499"}}}`},
	} {
		t.Run(what, func(t *testing.T) {
			config, err := completeConfig(test.kind, parseConfig(t, test.given))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(must(json.Marshal(config))); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func parseConfig(t *testing.T, config string) (parsed *lattice.TargetGroupConfig) {
	t.Helper()
	if err := json.Unmarshal([]byte(config), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestRefusedTargetGroups(t *testing.T) {
	for what, test := range map[string]struct {
		kind         lattice.TargetGroupType
		given, field string
	}{
		"no VPC":                     {lattice.TargetIP, `null`, "config.vpcIdentifier"},
		"family of instances":        {lattice.TargetInstance, `{"vpcIdentifier":"vpc-1","ipAddressType":"IPV4"}`, "config.ipAddressType"},
		"events of addresses":        {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","lambdaEventStructureVersion":"V2"}`, "config.lambdaEventStructureVersion"},
		"TCP without a port":         {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","protocol":"TCP"}`, "config.port"},
		"TCP with a version":         {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","protocol":"TCP","port":1,"protocolVersion":"HTTP1"}`, "config.protocolVersion"},
		"TCP to a load balancer":     {lattice.TargetALB, `{"vpcIdentifier":"vpc-1","protocol":"TCP","port":1}`, "config.protocol"},
		"gRPC to a load balancer":    {lattice.TargetALB, `{"vpcIdentifier":"vpc-1","protocolVersion":"GRPC"}`, "config.protocolVersion"},
		"checks of a load balancer":  {lattice.TargetALB, `{"vpcIdentifier":"vpc-1","healthCheck":{}}`, "config.healthCheck"},
		"port of a function":         {lattice.TargetLambda, `{"port":1}`, "config.port"},
		"protocol of a function":     {lattice.TargetLambda, `{"protocol":"HTTP"}`, "config.protocol"},
		"version of a function":      {lattice.TargetLambda, `{"protocolVersion":"HTTP1"}`, "config.protocolVersion"},
		"family of a function":       {lattice.TargetLambda, `{"ipAddressType":"IPV4"}`, "config.ipAddressType"},
		"VPC of a function":          {lattice.TargetLambda, `{"vpcIdentifier":"vpc-1"}`, "config.vpcIdentifier"},
		"checks of a function":       {lattice.TargetLambda, `{"healthCheck":{}}`, "config.healthCheck"},
		"TCP checks":                 {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","healthCheck":{"protocol":"TCP"}}`, "config.healthCheck.protocol"},
		"checks of TCP, no protocol": {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","protocol":"TCP","port":1,"healthCheck":{"enabled":true,"protocolVersion":"HTTP1"}}`, "config.healthCheck.protocol"},
		"checks of TCP, no version":  {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","protocol":"TCP","port":1,"healthCheck":{"enabled":true,"protocol":"HTTP"}}`, "config.healthCheck.protocolVersion"},
		"checks of gRPC, no version": {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","protocolVersion":"GRPC","healthCheck":{"enabled":true}}`, "config.healthCheck.protocolVersion"},
		"too short an interval":      {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","healthCheck":{"healthCheckIntervalSeconds":4}}`, "config.healthCheck.healthCheckIntervalSeconds"},
		"too long an interval":       {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","healthCheck":{"healthCheckIntervalSeconds":301}}`, "config.healthCheck.healthCheckIntervalSeconds"},
		"too long a timeout":         {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","healthCheck":{"healthCheckTimeoutSeconds":121}}`, "config.healthCheck.healthCheckTimeoutSeconds"},
		"too low a threshold":        {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","healthCheck":{"healthyThresholdCount":1}}`, "config.healthCheck.healthyThresholdCount"},
		"too high a threshold":       {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","healthCheck":{"unhealthyThresholdCount":11}}`, "config.healthCheck.unhealthyThresholdCount"},
		"a code that is none":        {lattice.TargetIP, `{"vpcIdentifier":"vpc-1","healthCheck":{"matcher":{"httpCode":"200,500"}}}`, "config.healthCheck.matcher.httpCode"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := completeConfig(test.kind, parseConfig(t, test.given))
			if e := refused(t, err, lattice.Validation, ""); e.Fields[0].Name != test.field {
				t.Errorf("refused for %s, want %s: %v", e.Fields[0].Name, test.field, e)
			}
		})
	}
}

func TestTargetGroupNeedsItsVPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	create := func(config lattice.TargetGroupConfig) error {
		_, err := w.CreateTargetGroup(w.ctx, w.caller, &lattice.CreateTargetGroupRequest{Name: "fleet", Type: lattice.TargetIP, Config: &config})
		return err
	}
	none := id("vpc-", "none")
	if e := refused(t, create(lattice.TargetGroupConfig{VPCIdentifier: none}), lattice.NotFound, none); e.ResourceType != "VPC" {
		t.Errorf("got %+v", e)
	}
}

func TestUpdateTargetGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	group := w.group("fleet", vpc)
	lambda := w.groupOf("function", lattice.TargetLambda, lattice.TargetGroupConfig{})
	update := func(group string, check lattice.HealthCheckConfig) (*lattice.UpdateTargetGroupResponse, error) {
		return w.UpdateTargetGroup(w.ctx, w.caller, &lattice.UpdateTargetGroupRequest{TargetGroupIdentifier: group, HealthCheck: check})
	}
	_, err := update(group, lattice.HealthCheckConfig{Path: "/up"})
	refused(t, err, lattice.Conflict, "CREATE_IN_PROGRESS")
	w.settleNow()
	got := must(update(group, lattice.HealthCheckConfig{Path: "/up", HealthCheckIntervalSeconds: 10})).Config
	if got.HealthCheck.Path != "/up" || got.HealthCheck.HealthCheckIntervalSeconds != 10 || got.Port != 80 {
		t.Errorf("updated %+v", got)
	}
	got = must(update(group, lattice.HealthCheckConfig{Enabled: new(false)})).Config
	if *got.HealthCheck.Enabled || got.HealthCheck.Path != "/" || got.HealthCheck.HealthCheckIntervalSeconds != 30 {
		t.Errorf("what an update leaves out must get its default: %+v", got.HealthCheck)
	}
	_, err = update(group, lattice.HealthCheckConfig{HealthyThresholdCount: 1})
	if e := refused(t, err, lattice.Validation, ""); e.Fields[0].Name != "healthCheck.healthyThresholdCount" {
		t.Errorf("refused for %s", e.Fields[0].Name)
	}
	_, err = update(lambda, lattice.HealthCheckConfig{})
	refused(t, err, lattice.Validation, "type LAMBDA")
}

func TestDeleteTargetGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc, service := w.vpc("fleet"), w.service("parking")
	before := len(w.keys())
	group := w.group("fleet", vpc)
	remove := func() (*lattice.DeleteTargetGroupResponse, error) {
		return w.DeleteTargetGroup(w.ctx, w.caller, &lattice.DeleteTargetGroupRequest{TargetGroupIdentifier: group})
	}
	_, err := remove()
	refused(t, err, lattice.Conflict, "CREATE_IN_PROGRESS")
	w.settleNow()
	listener := w.listener(service, "web", 80, forward(group))
	_, err = remove()
	refused(t, err, lattice.Conflict, "used by service "+service)
	must(w.DeleteListener(w.ctx, w.caller, &lattice.DeleteListenerRequest{ServiceIdentifier: service, ListenerIdentifier: listener}))
	targets := []lattice.Target{{ID: "10.0.1.10"}, {ID: "10.0.1.11"}}
	must(w.RegisterTargets(w.ctx, w.caller, &lattice.RegisterTargetsRequest{TargetGroupIdentifier: group, Targets: targets}))
	must(w.DeregisterTargets(w.ctx, w.caller, &lattice.DeregisterTargetsRequest{TargetGroupIdentifier: group, Targets: targets[:1]}))
	_, err = remove()
	refused(t, err, lattice.Conflict, "draining")
	w.settleNow()
	for range 2 {
		if got := must(remove()); got.Status != lattice.StatusDeleteInProgress {
			t.Errorf("deleted %+v", got)
		}
	}
	_, err = w.RegisterTargets(w.ctx, w.caller, &lattice.RegisterTargetsRequest{TargetGroupIdentifier: group, Targets: targets})
	refused(t, err, lattice.Conflict, "DELETE_IN_PROGRESS")
	w.settleNow()
	if left := w.keys(); len(left) != before {
		t.Errorf("left behind: %v", left)
	}
}

func TestListTargetGroupsFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.vpc("first"), w.vpc("second")
	w.group("in-first", first)
	w.group("in-second", second)
	w.groupOf("instances", lattice.TargetInstance, lattice.TargetGroupConfig{VPCIdentifier: first})
	w.groupOf("function", lattice.TargetLambda, lattice.TargetGroupConfig{})
	for _, test := range []struct {
		in   lattice.ListTargetGroupsRequest
		want int
	}{
		{lattice.ListTargetGroupsRequest{}, 4},
		{lattice.ListTargetGroupsRequest{VPCIdentifier: first}, 2},
		{lattice.ListTargetGroupsRequest{TargetGroupType: lattice.TargetIP}, 2},
		{lattice.ListTargetGroupsRequest{TargetGroupType: lattice.TargetIP, VPCIdentifier: first}, 1},
		{lattice.ListTargetGroupsRequest{TargetGroupType: lattice.TargetALB}, 0},
	} {
		items := must(w.ListTargetGroups(w.ctx, w.caller, &test.in)).Items
		if len(items) != test.want || items == nil {
			t.Errorf("%+v lists %v", test.in, items)
		}
	}
	summary := must(w.ListTargetGroups(w.ctx, w.caller, &lattice.ListTargetGroupsRequest{VPCIdentifier: second})).Items[0]
	if summary.Port != 80 || summary.Protocol != lattice.TargetHTTP || summary.IPAddressType != "IPV4" || summary.VPCIdentifier != second {
		t.Errorf("summary %+v", summary)
	}
}
