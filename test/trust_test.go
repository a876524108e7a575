package test

import (
	"strings"
	"testing"
)

// TestTrust has the built-in authority printed, a certificate issued by it, and that certificate accepted by a program in
// an instance, in each case of what the shell of its caller trusts: nothing in particular, what the system does, or a
// file of its own.
func TestTrust(t *testing.T) {
	need(t, "aws", "openssl")
	w := newWorkplace(t)
	w.serve("--data", "trust")
	out := w.shell(`
unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS GRPC_DEFAULT_SSL_ROOTS_FILE_PATH
./pergola ca --data trust >ca.pem
echo "it is $(openssl x509 -in ca.pem -noout -subject -nameopt multiline | grep organizationName)"
eval "$(./pergola env --data trust)"
grep -qF "$(sed -n 2p ca.pem)" "$CURL_CA_BUNDLE" && echo "env trusts it"
ARN=$(aws acm request-certificate --domain-name parking.example.com --query CertificateArn --output text)
aws acm get-certificate --certificate-arn $ARN --query Certificate --output text >leaf.pem
VPC=$(aws ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId --output text)
until ./pergola exec --data trust $VPC -- true 2>/dev/null; do :; done

verify='./pergola exec --data trust '$VPC' -- openssl verify -verify_hostname parking.example.com leaf.pem'
echo "from env: $($verify)"
unset SSL_CERT_FILE
echo "from nothing: $($verify)"
openssl req -x509 -newkey rsa:2048 -nodes -keyout own.key -out own.pem -days 2 -subj /CN=own 2>/dev/null
export SSL_CERT_FILE=$PWD/own.pem
echo "from its own: $($verify 2>&1 || true)"
echo "env then: $(./pergola env --data trust | grep -c SSL_CERT_FILE || true)"
`)
	for _, want := range []string{
		"organizationName          = Pergola", "env trusts it", "from env: leaf.pem: OK", "from nothing: leaf.pem: OK",
		"unable to get local issuer certificate", "env then: 0",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q:\n%s", want, out)
		}
	}
}
