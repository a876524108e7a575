package api

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestFault_D9_ForeignServicesAnswerInTheirProtocol asks for services that are not served, as their clients would.
func TestFault_D9_ForeignServicesAnswerInTheirProtocol(t *testing.T) {
	const (
		there = ` is not served here; there are ec2, sts, vpc-lattice`
		id    = "00000000-0000-4000-8000-000000000000"
	)
	for _, c := range []struct {
		name, method, target, service, body string
		header                              map[string]string
		status                              int
		contentType, want                   string
	}{
		{"S3", "GET", "/bucket/key", "s3", "", nil, 501, "application/xml",
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NotImplemented</Code><Message>the service &#34;s3&#34;" +
				there + "</Message><RequestId>" + id + "</RequestId></Error>"},
		{"S3 uploads forms as anything", "PUT", "/bucket/key", "s3", "a=b", map[string]string{"Content-Type": formType}, 501,
			"application/xml",
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NotImplemented</Code><Message>the service &#34;s3&#34;" +
				there + "</Message><RequestId>" + id + "</RequestId></Error>"},
		{"S3 control", "GET", "/v20180820/bucket", "s3", "", nil, 501, "application/xml",
			"<ErrorResponse><Error><Type>Receiver</Type><Code>NotImplemented</Code>"},
		{"CloudFront", "GET", "/2020-05-31/distribution", "cloudfront", "", nil, 501, "application/xml",
			"<ErrorResponse><Error><Type>Receiver</Type><Code>NotImplemented</Code>"},
		{"RDS", "POST", "/", "rds", "Action=DescribeDBInstances&Version=2014-10-31",
			map[string]string{"Content-Type": formType + "; charset=utf-8"}, 400, "text/xml;charset=UTF-8",
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ErrorResponse><Error><Type>Sender</Type>" +
				"<Code>InvalidAction</Code><Message>the service &#34;rds&#34;" + there + "</Message></Error>" +
				"<RequestId>" + id + "</RequestId></ErrorResponse>"},
		{"DynamoDB", "POST", "/", "dynamodb", "{}", map[string]string{targetHeader: "DynamoDB_20120810.ListTables",
			"Content-Type": "application/x-amz-json-1.0"}, 400, "application/x-amz-json-1.0",
			`{"__type":"UnknownOperationException","Message":"the service \"dynamodb\"` + there + `"}`},
		{"ECS", "POST", "/", "ecs", "{}", map[string]string{targetHeader: "AmazonEC2ContainerServiceV20141113.ListClusters",
			"Content-Type": awsJSONType}, 400, awsJSONType,
			`{"__type":"UnknownOperationException","Message":"the service \"ecs\"` + there + `"}`},
		{"EKS", "GET", "/clusters", "eks", "", nil, 404, "application/json", `{"message":"the service \"eks\"` +
			there + `"}`},
		{"CloudWatch", "POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", "monitoring", "\xa0",
			map[string]string{protocolHeader: cborProtocol, "Content-Type": "application/cbor"}, 404, "application/cbor",
			"\xa2\x66__type\x78\x19UnknownOperationException\x67message\x78\x4cthe service \"monitoring\"" + there},
	} {
		t.Run(c.name, func(t *testing.T) {
			door, _ := testDoor()
			r := signed(t, c.method, c.target, c.service, c.body)
			for name, value := range c.header {
				r.Header.Set(name, value)
			}
			response := serve(door, r)
			body := bodyOf(t, response)
			if response.StatusCode != c.status || response.Header.Get("Content-Type") != c.contentType ||
				!strings.Contains(body, c.want) {
				t.Errorf("%d %s %q\nwant %d %s %q", response.StatusCode, response.Header.Get("Content-Type"), body, c.status,
					c.contentType, c.want)
			}
		})
	}
}

// TestFault_D9_TheCLIShowsWhatIsServed asks by AWS's own CLI, a service for each protocol.
func TestFault_D9_TheCLIShowsWhatIsServed(t *testing.T) {
	t.Parallel()
	const there = "is not served here; there are acm, ec2, elasticloadbalancing, iam, lambda, organizations, " +
		"route53, sts, vpc-lattice"
	newCLI(t).runCLI(t, []step{
		{"s3api list-buckets", "", "(NotImplemented) when calling the ListBuckets operation: the service \"s3\" " + there},
		{"s3api get-object --bucket b --key k /dev/null", "", there},
		{"cloudfront list-distributions", "", there},
		{"rds describe-db-instances", "", "(InvalidAction) when calling the DescribeDBInstances operation: the " +
			"service \"rds\" " + there},
		{"sns list-topics", "", there},
		{"dynamodb list-tables", "", "(UnknownOperationException) when calling the ListTables operation: the service " +
			"\"dynamodb\" " + there},
		{"ecs list-clusters", "", there},
		{"eks list-clusters", "", there},
		{"cloudwatch list-metrics", "", there},
		{"elb describe-load-balancers", "", "NoSuchVersion"},
	})
}

// FuzzRefuserFor finds no request that is left without an answer of its own.
func FuzzRefuserFor(f *testing.F) {
	f.Add("s3", "/a", formType, "X.Y", cborProtocol)
	f.Add("rds", "/?Action=a", "", "", "")
	f.Fuzz(func(t *testing.T, service, path, contentType, target, protocol string) {
		r := httptest.NewRequest("POST", "/", nil)
		r.URL.Path = path
		r.Header.Set("Content-Type", contentType)
		r.Header.Set(targetHeader, target)
		r.Header.Set(protocolHeader, protocol)
		w := httptest.NewRecorder()
		refuseForeign(w, r, &notServed{service, []string{"ec2"}}, "id")
		if w.Code < 400 || w.Body.Len() == 0 || w.Header().Get("Content-Type") == "" {
			t.Errorf("%d %q", w.Code, w.Body)
		}
	})
}
