package estate

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/deployment"
	"pergola/internal/inside"
	"pergola/internal/testenv"
)

// manyRules lets a security group have a thousand rules.
var manyRules = map[string]int{"L-F678F1CE": 1000, "L-1216C47A": 1000, "L-0EA8095F": 1100}

// BenchmarkRequestsBehindRules has requests from a client to a target whose groups have few rules or a thousand, by
// connections that are kept and by new ones. Beside the time of a request it reports the processor time of all that
// take part in it: client, node, kernel and target.
func BenchmarkRequestsBehindRules(b *testing.B) {
	env := testenv.StartIn(b, deployment.Config{Dir: b.TempDir(), NoSync: true, Quotas: manyRules})
	clients, owners := env.MakeVPC("10.20.0.0/16"), env.MakeVPC("10.20.0.0/16")
	network, err := env.Lattice.CreateServiceNetwork(b.Context(),
		&vpclattice.CreateServiceNetworkInput{Name: aws.String("mesh")})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := env.Lattice.CreateServiceNetworkVpcAssociation(b.Context(),
		&vpclattice.CreateServiceNetworkVpcAssociationInput{ServiceNetworkIdentifier: network.Id,
			VpcIdentifier: &clients.ID}); err != nil {
		b.Fatal(err)
	}
	passages := map[string]passage{}
	for i, rules := range []int{2, 1000} {
		from := env.RunInstance(clients, fmt.Sprint("10.20.1.1", i), group(b, env, clients, rules, "Egress"))
		to := env.RunInstance(owners, fmt.Sprint("10.20.1.1", i), group(b, env, owners, rules, "Ingress"))
		env.Serve(to, 8080, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		passages[fmt.Sprint("rules=", rules)] = passage{from, "http://" + serviceTo(b, env, owners, *network.Id, to)}
	}
	for _, fresh := range []bool{false, true} {
		for _, rules := range []string{"rules=2", "rules=1000"} {
			b.Run(fmt.Sprintf("new-connections=%v/%s", fresh, rules), func(b *testing.B) { passages[rules].measure(b, fresh) })
		}
	}
}

// passage is a way from a client to a service.
type passage struct {
	from inside.Instance
	url  string
}

func (w passage) measure(b *testing.B, fresh bool) {
	client := w.from.Client()
	client.Transport.(*http.Transport).DisableKeepAlives = fresh
	defer client.CloseIdleConnections()
	began := processorTime()
	for b.Loop() {
		response, err := client.Get(w.url)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			b.Fatal(response.Status)
		}
	}
	b.ReportMetric(float64((processorTime()-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func processorTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// group makes a security group with some rules in one direction: the last lets TCP of VPC Lattice pass, and the others
// name prefixes that nobody has.
func group(b *testing.B, env *testenv.Env, vpc testenv.VPC, rules int, direction string) (id string) {
	b.Helper()
	query := func(action string, parameters url.Values, out any) {
		if err := env.API.Query(b.Context(), "ec2", action, parameters, out); err != nil {
			b.Fatal(err)
		}
	}
	var made struct {
		ID string `xml:"groupId"`
	}
	query("CreateSecurityGroup", url.Values{"VpcId": {vpc.ID}, "GroupName": {fmt.Sprint("rules-", rules)},
		"GroupDescription": {"many"}}, &made)
	if direction == "Egress" {
		query("RevokeSecurityGroupEgress", url.Values{"GroupId": {made.ID}, "IpPermissions.1.IpProtocol": {"-1"},
			"IpPermissions.1.IpRanges.1.CidrIp": {"0.0.0.0/0"}}, &struct{}{})
	}
	parameters := url.Values{"GroupId": {made.ID}}
	for i := range rules {
		prefix := "IpPermissions.1.IpRanges." + fmt.Sprint(i+1)
		block := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64 + byte(i>>8), byte(i), 0}), 24)
		if i == rules-1 {
			block = netip.MustParsePrefix("169.254.0.0/16")
		}
		parameters.Set(prefix+".CidrIp", block.String())
	}
	for key, value := range map[string]string{"IpProtocol": "tcp", "FromPort": "0", "ToPort": "65535"} {
		parameters.Set("IpPermissions.1."+key, value)
	}
	query("AuthorizeSecurityGroup"+direction, parameters, &struct{}{})
	return made.ID
}

// serviceTo makes a service in front of an instance and returns its name.
func serviceTo(b *testing.B, env *testenv.Env, vpc testenv.VPC, network string, to inside.Instance) (name string) {
	b.Helper()
	check := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	ctx, label := b.Context(), aws.String("bench-"+to.ID[len(to.ID)-6:])
	group, err := env.Lattice.CreateTargetGroup(ctx, &vpclattice.CreateTargetGroupInput{Name: label,
		Type: types.TargetGroupTypeInstance, Config: &types.TargetGroupConfig{Port: aws.Int32(8080),
			Protocol: types.TargetGroupProtocolHttp, VpcIdentifier: &vpc.ID,
			HealthCheck: &types.HealthCheckConfig{Enabled: aws.Bool(false)}}})
	check(err)
	env.Eventually("the target is registered", func() bool {
		_, err = env.Lattice.RegisterTargets(ctx, &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: group.Id,
			Targets: []types.Target{{Id: &to.ID}}})
		return err == nil
	})
	service, err := env.Lattice.CreateService(ctx, &vpclattice.CreateServiceInput{Name: label})
	check(err)
	_, err = env.Lattice.CreateListener(ctx, &vpclattice.CreateListenerInput{ServiceIdentifier: service.Id, Name: label,
		Protocol: types.ListenerProtocolHttp, DefaultAction: only(*group.Id)})
	check(err)
	association, err := env.Lattice.CreateServiceNetworkServiceAssociation(ctx,
		&vpclattice.CreateServiceNetworkServiceAssociationInput{ServiceIdentifier: service.Id,
			ServiceNetworkIdentifier: &network})
	check(err)
	env.Eventually("the service is associated", func() bool {
		got, err := env.Lattice.GetServiceNetworkServiceAssociation(ctx,
			&vpclattice.GetServiceNetworkServiceAssociationInput{ServiceNetworkServiceAssociationIdentifier: association.Id})
		return err == nil && got.Status == types.ServiceNetworkServiceAssociationStatusActive
	})
	return *service.DnsEntry.DomainName
}

// BenchmarkChangeOfARule authorises and revokes a rule in a VPC that has a thousand security groups, and changes a
// prefix list that all of them name. An operation takes until the change is in force.
func BenchmarkChangeOfARule(b *testing.B) {
	quotas := map[string]int{"L-F678F1CE": 10, "L-1216C47A": 10, "L-E79EC296": 2000}
	env := testenv.StartIn(b, deployment.Config{Dir: b.TempDir(), NoSync: true, Quotas: quotas})
	vpc := env.MakeVPC("10.20.0.0/16")
	query := func(action string, parameters url.Values, out any) {
		if err := env.API.Query(b.Context(), "ec2", action, parameters, out); err != nil {
			b.Fatal(err)
		}
	}
	var list struct {
		ID string `xml:"prefixList>prefixListId"`
	}
	query("CreateManagedPrefixList", url.Values{"PrefixListName": {"partners"}, "AddressFamily": {"IPv4"},
		"MaxEntries": {"10"}, "Entry.1.Cidr": {"10.1.0.0/16"}}, &list)
	var groups []string
	for i := range 1000 {
		var made struct {
			ID string `xml:"groupId"`
		}
		query("CreateSecurityGroup", url.Values{"VpcId": {vpc.ID}, "GroupName": {fmt.Sprint("group-", i)},
			"GroupDescription": {"one of many"}}, &made)
		query("AuthorizeSecurityGroupIngress", url.Values{"GroupId": {made.ID}, "IpPermissions.1.IpProtocol": {"tcp"},
			"IpPermissions.1.FromPort": {"80"}, "IpPermissions.1.ToPort": {"80"},
			"IpPermissions.1.PrefixListIds.1.PrefixListId": {list.ID}}, &struct{}{})
		groups = append(groups, made.ID)
	}
	for i := range 8 {
		env.RunInstance(vpc, fmt.Sprint("10.20.1.1", i), groups[i*5:i*5+5]...)
	}
	b.Run("rule", func(b *testing.B) {
		rule := url.Values{"GroupId": {groups[0]}, "IpPermissions.1.IpProtocol": {"tcp"}, "IpPermissions.1.FromPort": {"81"},
			"IpPermissions.1.ToPort": {"81"}, "IpPermissions.1.IpRanges.1.CidrIp": {"10.2.0.0/16"}}
		for b.Loop() {
			query("AuthorizeSecurityGroupIngress", rule, &struct{}{})
			query("RevokeSecurityGroupIngress", rule, &struct{}{})
		}
	})
	b.Run("list", func(b *testing.B) {
		version := 1
		for b.Loop() {
			for _, change := range []string{"AddEntry", "RemoveEntry"} {
				query("ModifyManagedPrefixList", url.Values{"PrefixListId": {list.ID}, "CurrentVersion": {fmt.Sprint(version)},
					change + ".1.Cidr": {"10.3.0.0/16"}}, &struct{}{})
				version++
			}
		}
	})
}
