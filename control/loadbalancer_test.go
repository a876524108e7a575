package control

import (
	"strings"
	"testing"

	"pergola/aws/elbv2"
	"pergola/lattice"
	"pergola/store"
)

// balancer makes a load balancer with a status and returns its ARN.
func (w *world) balancer(name, vpc string, status lattice.Status) string {
	w.t.Helper()
	id := id("", name)[:16]
	arn := "arn:aws:elasticloadbalancing:us-west-2:" + w.caller.Account + ":loadbalancer/app/" + name + "/" + id
	w.write(func(tx *store.Tx) error {
		return loadBalancers.Put(tx, id, elbv2.LoadBalancer{ID: id, ARN: arn, Account: w.caller.Account, Name: name, VPC: vpc,
			Stage: lattice.Stage{Status: status}})
	})
	return arn
}

// refusalOf registers a load balancer and returns why that was refused, or "".
func (w *world) refusalOf(group, arn string) string {
	w.t.Helper()
	answer := w.register(group, lattice.Target{ID: arn})
	if len(answer.Unsuccessful) == 0 {
		return ""
	}
	if code := answer.Unsuccessful[0].FailureCode; code != failureInvalid {
		w.t.Errorf("the code is %s", code)
	}
	return answer.Unsuccessful[0].FailureMessage
}

func TestRegisterTargetsByLoadBalancer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc, elsewhere := w.vpc("fleet"), w.vpc("elsewhere")
	config := lattice.TargetGroupConfig{VPCIdentifier: vpc, Protocol: lattice.TargetHTTP}
	group := w.groupOf("fleet", lattice.TargetALB, config)
	w.settleNow()
	w.caller = callerOf(other)
	foreign := w.balancer("foreign", vpc, lattice.StatusActive)
	w.caller = callerOf(account)
	good := w.balancer("good", vpc, lattice.StatusActive)
	for arn, says := range map[string]string{
		foreign: "not in the account",
		w.balancer("away", elsewhere, lattice.StatusActive):      "not in " + vpc,
		w.balancer("young", vpc, lattice.StatusCreateInProgress): "still provisioning",
		strings.Replace(good, "/good/", "/better/", 1):           "no Application Load Balancer",
		good + "0":  "no Application Load Balancer",
		"10.0.1.10": "no Application Load Balancer",
	} {
		if got := w.refusalOf(group, arn); !strings.Contains(got, says) || got == "" {
			t.Errorf("%s: %q, want %q", arn, got, says)
		}
	}
	both := w.register(group, lattice.Target{ID: good}, lattice.Target{ID: w.balancer("second", vpc, lattice.StatusActive)})
	if len(both.Successful) != 1 || len(both.Unsuccessful) != 1 || !strings.Contains(both.Unsuccessful[0].FailureMessage, "one load balancer") {
		t.Errorf("two at once: %+v", both)
	}
	if got := w.refusalOf(group, good); got != "" {
		t.Errorf("registered again: %q", got)
	}
	for what, target := range map[string]lattice.Target{"another": {ID: w.balancer("third", vpc, lattice.StatusActive)}, "another port": {ID: good, Port: 81}} {
		if answer := w.register(group, target); len(answer.Unsuccessful) != 1 || !strings.Contains(answer.Unsuccessful[0].FailureMessage, "already") {
			t.Errorf("%s: %+v", what, answer)
		}
	}
	if health := w.health(group); health[lattice.TargetKey(good, 80)] != "UNAVAILABLE HealthCheckNotSupported" {
		t.Errorf("health: %v", health)
	}
}

func TestALoadBalancerIsInTwoTargetGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	config := lattice.TargetGroupConfig{VPCIdentifier: vpc, Protocol: lattice.TargetHTTP}
	var groups []string
	for _, name := range []string{"one", "two", "three", "four"} {
		groups = append(groups, w.groupOf(name, lattice.TargetALB, config))
	}
	w.settleNow()
	balancer := w.balancer("shop", vpc, lattice.StatusActive)
	expect := func(group, says string) {
		t.Helper()
		if got := w.refusalOf(group, balancer); says == "" && got != "" || !strings.Contains(got, says) {
			t.Errorf("%s: %q, want %q", group, got, says)
		}
	}
	expect(groups[0], "")
	expect(groups[1], "")
	expect(groups[1], "")
	expect(groups[2], "in 2 target groups")
	w.deregister(groups[0], lattice.Target{ID: balancer})
	expect(groups[2], "")
	expect(groups[0], "in 2 target groups")
	must(w.DeleteTargetGroup(w.ctx, w.caller, &lattice.DeleteTargetGroupRequest{TargetGroupIdentifier: groups[1]}))
	w.settleNow()
	expect(groups[3], "")
}
