package api

import (
	"encoding/xml"
	"errors"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"pergola/aws"
	"pergola/aws/elbv2"
	control "pergola/control/elbv2"
	controls "pergola/control/operation"
)

func decodeELBv2(body string) (any, error) {
	protocol := newQuery(elbv2Style, elbv2Operations(control.New(controls.Config{})))
	_, input, err := protocol.decode(httptest.NewRequest("POST", "/", nil), []byte(body))
	return input, err
}

// TestFormsOfELBv2 decodes forms as the AWS tools write them.
func TestFormsOfELBv2(t *testing.T) {
	weight := int32(0)
	for _, c := range []struct {
		body string
		want any
		code string
	}{
		{"Action=CreateLoadBalancer&Version=2015-12-01&Name=a&Subnets.member.1=s&SubnetMappings.member.1.SubnetId=t&Type=application&Tags.member.1.Key=k",
			&elbv2.CreateLoadBalancerRequest{Name: "a", Subnets: []string{"s"}, SubnetMappings: []elbv2.SubnetMapping{{SubnetID: "t"}}, Kind: "application", Tags: []elbv2.Tag{{Key: "k"}}}, ""},
		{"Action=ModifyListener&ListenerArn=l&DefaultActions.member.1.Type=forward&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=g&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=0",
			&elbv2.ModifyListenerRequest{ARN: "l", DefaultActions: []elbv2.ActionDescription{{Type: "forward", Forward: &elbv2.ForwardConfig{
				TargetGroups: aws.Members[elbv2.WeightedGroup]{{ARN: "g", Weight: &weight}}}}}}, ""},
		{"Action=ModifyLoadBalancerAttributes&LoadBalancerArn=l&Attributes.member.1.Key=a.b&Attributes.member.1.Value=",
			&elbv2.ModifyLoadBalancerAttributesRequest{ARN: "l", Attributes: []elbv2.Attribute{{Key: "a.b"}}}, ""},
		{"Action=CreateLoadBalancer", nil, "Value at 'name' is required"},
		{"Action=CreateLoadBalancer&Name=a&Type=classic", nil, "Value at 'type' must be one of application, network, gateway"},
		{"Action=DescribeLoadBalancers&PageSize=401", nil, "Value at 'pageSize' must be from 1 to 400"},
		{"Action=ModifyTargetGroup&TargetGroupArn=g&HealthCheckIntervalSeconds=4", nil, "must be from 5 to 300"},
		{"Action=ModifyTargetGroup&TargetGroupArn=g&HealthCheckPath=up", nil, "must be empty or a path"},
		{"Action=RegisterTargets&TargetGroupArn=g&Targets.member.1.Port=80", nil, "Value at 'targets[0].Id' is required"},
		{"Action=ModifyLoadBalancerAttributes&LoadBalancerArn=l&Attributes.member.1.Key=a%20b", nil, "must have no characters but letters, digits, points"},
		{"Action=ModifyListener&ListenerArn=l&DefaultActions.member.1.Type=fixed-response&DefaultActions.member.1.FixedResponseConfig.StatusCode=302", nil, "must be a status code 2XX, 4XX or 5XX"},
	} {
		got, err := decodeELBv2(c.body)
		switch {
		case c.want == nil && (err == nil || !strings.HasPrefix(err.Error(), "ValidationError: ") || !strings.Contains(err.Error(), c.code)):
			t.Errorf("%s: %v, want %s", c.body, err, c.code)
		case c.want != nil && (err != nil || !reflect.DeepEqual(got, c.want)):
			t.Errorf("%s: %+v, %v, want %+v", c.body, got, err, c.want)
		}
	}
}

// FuzzELBv2 sends any form to every action. The answer is input or an error of the caller's.
func FuzzELBv2(f *testing.F) {
	f.Add("Name=a&Subnets.member.1=s&Scheme=internal&Tags.member.1.Key=a")
	f.Add("ListenerArn=l&DefaultActions.member.1.Type=forward&DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=7")
	f.Add("TargetGroupArn=g&Targets.member.1.Id=i&Targets.member.99999999999999999999.Port=-1&Matcher.HttpCode=200,&.=&=")
	table := elbv2Operations(control.New(controls.Config{}))
	protocol := newQuery(elbv2Style, table)
	f.Fuzz(func(t *testing.T, body string) {
		for _, op := range table {
			_, input, err := protocol.decode(httptest.NewRequest("POST", "/", nil), []byte("Action="+op.name+"&"+body))
			var refused *aws.Error
			if err != nil && (!errors.As(err, &refused) || statusOf(refused) >= 500) || err == nil && input == nil {
				t.Errorf("%s: %v", op.name, err)
			}
			if err == nil {
				continue
			}
			w := httptest.NewRecorder()
			protocol.refuse(w, err, "")
			if got := w.Body.Bytes(); xml.Unmarshal(got, new(struct{})) != nil {
				t.Errorf("%s: not XML: %s", op.name, got)
			}
		}
	})
}

func TestCLILoadBalancers(t *testing.T) {
	t.Parallel()
	newCLI(t).runCLI(t, []step{
		{"ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId", "vpc", "vpc-"},
		{"ec2 create-subnet --vpc-id {vpc} --cidr-block 10.0.1.0/24 --availability-zone us-west-2a --query Subnet.SubnetId", "a", "subnet-"},
		{"ec2 create-subnet --vpc-id {vpc} --cidr-block 10.0.2.0/24 --availability-zone us-west-2b --query Subnet.SubnetId", "b", "subnet-"},
		{"elbv2 create-load-balancer --name shop --subnets {a} {b}", "", "InvalidScheme"},
		{"elbv2 create-load-balancer --name shop --type network --scheme internal --subnets {a} {b}", "", "OperationNotPermitted"},
		{"elbv2 create-load-balancer --name shop --scheme internal --subnets {a} {b} --tags Key=team,Value=red --query LoadBalancers[0].LoadBalancerArn", "balancer", ":loadbalancer/app/shop/"},
		{"elbv2 describe-load-balancers --names shop --query LoadBalancers[0].[State.Code,Scheme,Type,VpcId,AvailabilityZones[].ZoneName]", "", "us-west-2b"},
		{"elbv2 describe-load-balancers --load-balancer-arns {balancer} --query LoadBalancers[0].CreatedTime", "", "T"},
		{"elbv2 describe-load-balancers --names cart", "", "LoadBalancerNotFound"},
		{"elbv2 modify-load-balancer-attributes --load-balancer-arn {balancer} --attributes Key=routing.http.xff_header_processing.mode,Value=preserve --query Attributes[?Key=='routing.http.xff_header_processing.mode'].Value", "", "preserve"},
		{"elbv2 create-target-group --name web --protocol HTTP --port 8080 --vpc-id {vpc} --target-type ip --health-check-path /up --matcher HttpCode=200-299 --query TargetGroups[0].TargetGroupArn", "group", ":targetgroup/web/"},
		{"elbv2 describe-target-groups --names web --query TargetGroups[0].[Matcher.HttpCode,HealthCheckPort,HealthCheckEnabled]", "", "traffic-port"},
		{"elbv2 register-targets --target-group-arn {group} --targets Id=10.0.1.9 Id=10.0.1.9,Port=81", "", ""},
		{"elbv2 register-targets --target-group-arn {group} --targets Id=192.168.0.1", "", "InvalidTarget"},
		{"elbv2 create-listener --load-balancer-arn {balancer} --protocol HTTP --port 80 --default-actions Type=forward,TargetGroupArn={group} --query Listeners[0].ListenerArn", "listener", ":listener/app/shop/"},
		{"elbv2 create-listener --load-balancer-arn {balancer} --protocol HTTP --port 80 --default-actions Type=forward,TargetGroupArn={group} --query Listeners[0].ListenerArn", "", "{listener}"},
		{"elbv2 create-listener --load-balancer-arn {balancer} --protocol HTTP --port 80 --default-actions Type=fixed-response,FixedResponseConfig={StatusCode=404}", "", "DuplicateListener"},
		{"elbv2 describe-target-health --target-group-arn {group} --query TargetHealthDescriptions[0].[Target.Port,TargetHealth.State,TargetHealth.Reason]", "", "Elb.RegistrationInProgress"},
		{"elbv2 describe-rules --listener-arn {listener} --query Rules[0].[Priority,IsDefault,Actions[0].TargetGroupArn]", "", "{group}"},
		{"elbv2 modify-listener --listener-arn {listener} --default-actions Type=fixed-response,FixedResponseConfig={StatusCode=404,ContentType=text/plain,MessageBody=no} --query Listeners[0].DefaultActions[0].FixedResponseConfig.StatusCode", "", "404"},
		{"elbv2 describe-listeners --load-balancer-arn {balancer} --query Listeners[0].[Port,Protocol,DefaultActions[0].FixedResponseConfig.MessageBody]", "", "no"},
		{"elbv2 describe-listener-attributes --listener-arn {listener} --query Attributes[0].Value", "", "true"},
		{"elbv2 add-tags --resource-arns {balancer} {group} --tags Key=env,Value=test", "", ""},
		{"elbv2 remove-tags --resource-arns {balancer} --tag-keys team", "", ""},
		{"elbv2 describe-tags --resource-arns {balancer} {group} --query TagDescriptions[].[Tags[0].Key,length(Tags)]", "", "env"},
		{"ec2 delete-subnet --subnet-id {a}", "", "DependencyViolation"},
		{"elbv2 deregister-targets --target-group-arn {group} --targets Id=10.0.1.9", "", ""},
		{"elbv2 delete-listener --listener-arn {listener}", "", ""},
		{"elbv2 delete-load-balancer --load-balancer-arn {balancer}", "", ""},
		{"elbv2 delete-target-group --target-group-arn {group}", "", ""},
		{"elbv2 describe-target-groups --query TargetGroups", "", "[]"},
		{"ec2 delete-subnet --subnet-id {a}", "", ""},
	})
}
