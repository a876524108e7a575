package api

import (
	"encoding/xml"
	"errors"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/lattice"
)

func decodeEC2(body string) (any, error) {
	_, input, err := newQuery(ec2Style, ec2Operations(nil)).decode(httptest.NewRequest("POST", "/", nil), []byte(body))
	return input, err
}

func TestForms(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       any
	}{
		{"lists", "Action=DescribeVpcs&VpcId.2=vpc-b&VpcId.1=vpc-a&VpcId.10=vpc-c&MaxResults=5", &ec2.DescribeVPCsRequest{
			IDs: []string{"vpc-a", "vpc-b", "vpc-c"}, Page: ec2.Page{MaxResults: 5}}},
		{"filters", "Action=DescribeSubnets&Filter.1.Name=vpc-id&Filter.1.Value.1=a&Filter.1.Value.2=b&Filter.2.Name=state&Filter.2.Value.1=c", &ec2.DescribeSubnetsRequest{
			Filters: []ec2.Filter{{Name: "vpc-id", Values: []string{"a", "b"}}, {Name: "state", Values: []string{"c"}}}}},
		{"nested", "Action=CreateVpc&CidrBlock=10.0.0.0%2F16&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=x+y", &ec2.CreateVPCRequest{
			CIDRBlock: "10.0.0.0/16", TagSpecification: []ec2.TagSpecification{{ResourceType: "vpc", Tags: []ec2.Tag{{Key: "Name", Value: "x y"}}}}}},
		{"structure", "Action=ModifyVpcAttribute&VpcId=vpc-a&EnableDnsSupport.Value=false", &ec2.ModifyVPCAttributeRequest{
			ID: "vpc-a", DNSSupport: &ec2.AttributeValue{}}},
		{"embedded twice", "Action=RevokeSecurityGroupIngress&GroupId=sg-a&IpProtocol=tcp&SecurityGroupRuleId.1=sgr-a", &ec2.RevokedPermissionsRequest{
			PermissionsRequest: ec2.PermissionsRequest{GroupID: "sg-a", SinglePermission: ec2.SinglePermission{Protocol: "tcp"}}, RuleIDs: []string{"sgr-a"}}},
		{"unknown parameters", "Action=DeleteVpc&VpcId=vpc-a&Whatever.1=x", &ec2.DeleteVPCRequest{ID: "vpc-a"}},
	} {
		got, err := decodeEC2(c.body)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

func TestBadForms(t *testing.T) {
	for _, c := range []struct{ body, code, message string }{
		{"Action=DescribeVpcs&MaxResults=many", "InvalidParameterValue", `The parameter MaxResults must be an integer, is "many"`},
		{"Action=DescribeVpcs&VpcId=vpc-a", "InvalidParameterValue", "The parameter VpcId must be a list, is a string"},
		{"Action=DescribeVpcs&Filter.1=x", "InvalidParameterValue", "The parameter Filter.1 must be an object, is a string"},
		{"Action=DescribeVpcs&Filter.1.Name=x", "MissingParameter", "The request must contain the parameter Filter.1.Value"},
		{"Action=DescribeVpcs&Filter.1=x&Filter.1.Name=y", "MalformedQueryString", `the parameter "Filter.1.Name" is both a value and a structure`},
		{"Action=DescribeVpcs&a.b.c.d.e.f.g.h.i.j.k=1", "MalformedQueryString", `the parameter "a.b.c.d.e.f.g.h.i.j.k" nests too deep`},
		{"Action=DescribeVpcs&Filter.3.Name=x&Filter.3.Value.1=" + strings.Repeat("*", 256), "InvalidParameterValue", "The parameter Filter.1.Value.1 must have 0 to 255 characters, has 256"},
		{"Action=DescribeVpcs&x=%zz", "MalformedQueryString", ""},
		{"Action=DescribeVpcs&x=%ff", "MalformedQueryString", "the query string is not valid UTF-8"},
		{"Action.1=DescribeVpcs", "MissingAction", ""},
		{"Action=ModifyVpcAttribute&VpcId=a&EnableDnsSupport.Value=yes", "InvalidParameterValue", "The parameter EnableDnsSupport.Value must be true or false, is a string"},
		{"Action=DescribeVpcAttribute&VpcId=a&Attribute=colour", "InvalidParameterValue", ""},
	} {
		_, err := decodeEC2(c.body)
		var got *aws.Error
		if !errors.As(err, &got) || got.Code != c.code || !strings.Contains(got.Message, c.message) {
			t.Errorf("%s: %v, want %s %s", c.body, err, c.code, c.message)
		}
	}
}

// FuzzQuery sends any form to every action. The answer is input or an error of the caller's.
func FuzzQuery(f *testing.F) {
	f.Add("VpcId.1=a&Filter.1.Name=b&Filter.1.Value.1=c&MaxResults=7")
	f.Add("IpPermissions.1.IpRanges.1.CidrIp=a&IpPermissions.1.FromPort=80")
	f.Add("TagSpecification.1.Tag.1.Key=a&.=&..=&1=2&a.=b")
	f.Add("%zz&;&a=1&a=2&VpcId.99999999999999999999=x&VpcId.-1=y&VpcId.01=z")
	table := ec2Operations(nil)
	protocol := newQuery(ec2Style, table)
	f.Fuzz(func(t *testing.T, body string) {
		for _, op := range table {
			r := httptest.NewRequest("POST", "/", nil)
			_, input, err := protocol.decode(r, []byte("Action="+op.name+"&"+body))
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

func TestInternalErrorsOfQuery(t *testing.T) {
	for _, style := range []style{ec2Style, stsStyle} {
		w := httptest.NewRecorder()
		newQuery(style, nil).refuse(w, &lattice.Error{Message: "m"}, "id")
		if w.Code != 500 || !strings.Contains(w.Body.String(), "<Code>"+style.internal+"</Code>") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
