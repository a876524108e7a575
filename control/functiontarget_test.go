package control

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pergola/aws/iam"
	"pergola/aws/lambda"
	"pergola/lattice"
	"pergola/store"
)

const functionARN = "arn:aws:lambda:us-west-2:100000000001:function:"

// function makes a function with an alias, live, and version 3, which lets VPC Lattice invoke it by each of its names for a
// target group.
func (w *world) function(name, group string) {
	w.t.Helper()
	f := lambda.Function{Account: account, Name: name, Policies: map[string]lambda.Policy{}}
	for _, qualifier := range []string{"", "live", "3", "gone"} {
		named := lambda.Name{Region: region, Account: account, Function: name, Qualifier: qualifier}
		f.Policies[qualifier] = lambda.Policy{Statements: []lambda.Statement{{
			SID: "s", Principal: lambda.LatticeService, Action: lambda.InvokeAction, Resource: named.ARN(),
			SourceARN: lattice.Home{Region: region, Account: account}.ARN(lattice.KindTargetGroup, group),
		}}}
	}
	order, _ := lambda.VersionOrder("3")
	w.write(func(tx *store.Tx) error {
		if err := functionAliasObjects.Put(tx, lambda.ID(account, name, "live"), lambda.Alias{Name: "live", Version: "3"}); err != nil {
			return err
		}
		if err := functionVersionObjects.Put(tx, lambda.ID(account, name, order), lambda.Version{Number: "3"}); err != nil {
			return err
		}
		return functionObjects.Put(tx, lambda.ID(account, name), f)
	})
}

func TestFunctionTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := w.groupOf("functions", lattice.TargetLambda, lattice.TargetGroupConfig{})
	w.settleNow()
	w.function("f", group)
	w.function("g", group)
	register := func(group, says string, targets ...lattice.Target) {
		t.Helper()
		answer := w.register(group, targets...)
		if says == "" && len(answer.Unsuccessful) == 0 {
			return
		}
		if len(answer.Unsuccessful) != 1 || answer.Unsuccessful[0].FailureCode != "InvalidTarget" || !strings.Contains(answer.Unsuccessful[0].FailureMessage, says) || says == "" {
			t.Errorf("%v: %+v, want %q", targets, answer, says)
		}
	}
	target := func(name string) lattice.Target { return lattice.Target{ID: functionARN + name} }
	register(group, "no Lambda function", target("none"))
	register(group, "no version or alias other", target("f:other"))
	register(group, "no version or alias 4", target("f:4"))
	register(group, "no version or alias gone", target("f:gone"))
	register(group, "$LATEST", target("f:$LATEST"))
	register(group, "no port", lattice.Target{ID: functionARN + "f", Port: 80})
	register(group, "the account", lattice.Target{ID: "arn:aws:lambda:us-west-2:100000000002:function:f"})
	register(group, "the Region", lattice.Target{ID: "arn:aws:lambda:us-east-1:100000000001:function:f"})
	register(group, "is not the ARN", lattice.Target{ID: "f"})
	register(group, "a target group has one function", target("f"), target("g"))
	register(group, "", target("f")) // again: no harm
	register(group, "a target group has one function", target("f:live"))
	w.deregister(group, target("f"))
	register(group, "", target("f:live"))
	register(group, "a target group has one function", target("f")) // which drains
	w.deregister(group, target("f:live"))
	register(group, "", target("g:3"))
	if got := w.health(group)[functionARN+"g:3:0"]; got != "UNAVAILABLE HealthCheckNotSupported" {
		t.Errorf("it is %q of %v", got, w.health(group))
	}
}

// TestRegisteringAFunctionGivesItsPermission holds that VPC Lattice may invoke what is registered, and nothing else from then
// on: a name that has the permission keeps its policy, one that lacks it gets a statement, if the caller may add that.
func TestRegisteringAFunctionGivesItsPermission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group, other := w.groupOf("functions", lattice.TargetLambda, lattice.TargetGroupConfig{}), w.groupOf("others", lattice.TargetLambda, lattice.TargetGroupConfig{})
	w.settleNow()
	w.function("f", group)
	register := func(caller iam.Caller, group, name string) error {
		in := &lattice.RegisterTargetsRequest{TargetGroupIdentifier: group, Targets: []lattice.Target{{ID: functionARN + name}}}
		answer, err := w.RegisterTargets(w.ctx, caller, in)
		if err == nil && len(answer.Unsuccessful) > 0 {
			return errors.New(answer.Unsuccessful[0].FailureMessage)
		}
		return err
	}
	lets := func(group, qualifier string) bool {
		t.Helper()
		f := w.stored("f")
		name := lambda.Name{Region: region, Account: account, Function: "f", Qualifier: qualifier}
		return f.LetsLattice(name, w.home(account).ARN(lattice.KindTargetGroup, group), account)
	}
	before := w.stored("f")
	if err := register(w.only(`{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"*"}`), group, "f:live"); err != nil {
		t.Error(err)
	}
	if got := w.stored("f"); !reflect.DeepEqual(got, before) {
		t.Errorf("a function that has the permission has become %+v", got)
	}
	err := register(w.only(`{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"*"}`), other, "f:live")
	if refused(t, err, lattice.AccessDenied, "lambda:AddPermission on resource: "+functionARN+"f:live"); lets(other, "live") {
		t.Error("one who may not add permissions has added one")
	}
	may := w.only(`{"Effect":"Allow","Action":["vpc-lattice:*","lambda:AddPermission"],"Resource":"*"}`)
	if err := register(may, other, "f:live"); err != nil {
		t.Error(err)
	}
	if !lets(other, "live") || !lets(group, "live") || lets(other, "3") || lets(other, "") {
		t.Errorf("the policies are %+v", w.stored("f").Policies)
	}
	if p := w.stored("f").Policies["live"]; p.Revision == before.Policies["live"].Revision || len(p.Statements) != 2 || p.Statements[1].SID != "vpc-lattice-"+other {
		t.Errorf("the policy is %+v", p)
	}
	// What stands in the way is told.
	w.deregister(other, lattice.Target{ID: functionARN + "f:live"})
	w.write(func(tx *store.Tx) error {
		f := w.stored("f")
		f.Policies["3"] = lambda.Policy{Statements: []lambda.Statement{{SID: "vpc-lattice-" + other, Principal: "*", Action: "lambda:GetFunction", Resource: functionARN + "f:3"}}}
		return functionObjects.Put(tx, lambda.ID(account, "f"), f)
	})
	if err := register(may, other, "f:3"); err == nil || !strings.Contains(err.Error(), "vpc-lattice-"+other) {
		t.Errorf("got %v", err)
	}
}

// stored is a function as it is in the store.
func (w *world) stored(name string) (f lambda.Function) {
	w.t.Helper()
	err := w.Store.View(w.ctx, func(tx *store.Tx) (err error) {
		f, err = functionObjects.Get(tx, lambda.ID(account, name))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// TestForeignFunctionTargets are believed to exist, if there is a way to them; one that is here must let itself be invoked.
func TestForeignFunctionTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.foreignFunctions = true
	group := w.groupOf("functions", lattice.TargetLambda, lattice.TargetGroupConfig{})
	w.settleNow()
	w.function("f", "tg-00000000000000000")
	if answer := w.register(group, lattice.Target{ID: functionARN + "f:other"}); len(answer.Unsuccessful) != 1 {
		t.Errorf("one that is here, without the alias: %+v", answer)
	}
	if answer := w.register(group, lattice.Target{ID: "arn:aws:lambda:us-west-2:100000000002:function:far"}); len(answer.Unsuccessful) != 1 {
		t.Errorf("one of another account: %+v", answer)
	}
	if answer := w.register(group, lattice.Target{ID: functionARN + "far:live"}); len(answer.Successful) != 1 {
		t.Errorf("one that is not here: %+v", answer)
	}
}
