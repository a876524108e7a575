package test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// guardedService is a service that the account's principals may GET from, with a file behind it whose name has to be
// encoded. What callers need to know of it is left in the file "service".
const guardedService = `
eval "$(./pergola env --data signing)"
VPC=$(aws ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId --output text)
SUBNET=$(aws ec2 create-subnet --vpc-id $VPC --cidr-block 10.0.12.0/24 --query Subnet.SubnetId --output text)
CLIENT=$(aws ec2 run-instances --image-id ami-00000000000000000 --subnet-id $SUBNET --private-ip-address 10.0.12.30 --query 'Instances[0].InstanceId' --output text)
SERVER=$(aws ec2 run-instances --image-id ami-00000000000000000 --subnet-id $SUBNET --private-ip-address 10.0.12.31 --query 'Instances[0].InstanceId' --output text)
admit $VPC
aws ec2 wait instance-running --instance-ids $CLIENT $SERVER
mkdir -p 'site/a b'
echo served >'site/a b/c:d'
./pergola exec --data signing $SERVER -- sh -c 'exec python3 -m http.server 8080 --directory site --bind $PERGOLA_ADDRESS' >/dev/null 2>&1 &

SN=$(aws vpc-lattice create-service-network --name mesh --query id --output text)
SVC=$(aws vpc-lattice create-service --name orders --auth-type AWS_IAM --query id --output text)
TG=$(aws vpc-lattice create-target-group --name orders --type INSTANCE --config "port=8080,protocol=HTTP,vpcIdentifier=$VPC" --query id --output text)
aws vpc-lattice register-targets --target-group-identifier $TG --targets id=$SERVER >/dev/null
aws vpc-lattice create-listener --service-identifier $SVC --name http --protocol HTTP --port 80 --default-action "forward={targetGroups=[{targetGroupIdentifier=$TG}]}" >/dev/null
aws vpc-lattice create-service-network-service-association --service-network-identifier $SN --service-identifier $SVC >/dev/null
aws vpc-lattice create-service-network-vpc-association --service-network-identifier $SN --vpc-identifier $VPC >/dev/null
aws vpc-lattice put-auth-policy --resource-identifier $SVC --policy '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"100000000001"},"Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}}]}' >/dev/null
NAME=$(aws vpc-lattice get-service --service-identifier $SVC --query dnsEntry.domainName --output text)
until [ "$(aws vpc-lattice list-targets --target-group-identifier $TG --query 'items[0].status' --output text)" = HEALTHY ]; do :; done

read -r SESSION_KEY_ID SESSION_SECRET SESSION_TOKEN <<<"$(aws sts get-session-token --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)"
export SESSION_KEY_ID SESSION_SECRET SESSION_TOKEN
declare -p NAME CLIENT SESSION_KEY_ID SESSION_SECRET SESSION_TOKEN >service
cat >calls <<'END'
call() { "$@" 2>&1 | tr '\n' ' '; }
echo "key: $(call "$@")"
export AWS_ACCESS_KEY_ID=$SESSION_KEY_ID AWS_SECRET_ACCESS_KEY=$SESSION_SECRET AWS_SESSION_TOKEN=$SESSION_TOKEN
echo "session: $(call "$@")"
AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY}x
echo "altered: $(call "$@")"
END
`

// TestSigning runs the programs of docs/signing inside an instance: with a long-term key, with a session, and with a
// secret that is not the session's.
func TestSigning(t *testing.T) {
	need(t, "aws", "python3")
	w := newWorkplace(t)
	loopback := strings.Contains(w.serve("--data", "signing"), "(loopback")
	w.shell(guardedService)
	examples, err := filepath.Abs("../docs/signing")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(w.dir, "sign"), "../docs/signing/go")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	const inOrder, outOfOrder = "a=2&a-b=1&b=%2Fx%20y", "b=%2fx%20y&a-b=1&a=2"
	for _, p := range []struct {
		name, command, query string
		present              string // succeeds where the program can run
		noProxy              bool   // it does not read http_proxy
	}{
		{"Python", "python3 $EXAMPLES/sign.py", outOfOrder, "python3 --version", false},
		{"botocore", "python3 $EXAMPLES/sign_botocore.py", inOrder, "python3 -c 'import botocore'", false},
		{"Go", "./sign", outOfOrder, "true", false},
		{"Java", "java $EXAMPLES/Sign.java", outOfOrder, "java --version", true},
		{"Node", "node $EXAMPLES/sign.mjs", outOfOrder, "node --version", true},
		{"curl", "sh $EXAMPLES/sign.sh", inOrder, "curl --version", false},
	} {
		t.Run(p.name, func(t *testing.T) {
			if out, err := exec.Command("sh", "-c", p.present).CombinedOutput(); err != nil {
				t.Skipf("its runtime is missing: %v: %s", err, out)
			}
			if loopback && p.noProxy {
				t.Skip("it does not read http_proxy, without which nothing reaches a service on the loopback fabric")
			}
			out := w.shell(`
eval "$(./pergola env --data signing)"
. ./service
EXAMPLES='` + examples + `'
./pergola exec --data signing $CLIENT -- bash calls ` + p.command + ` "http://$NAME/a%20b/c:d?` + p.query + `"`)
			checkCalls(t, out)
		})
	}
}

// checkCalls holds what was printed for each call: the status, and the body before or after it.
func checkCalls(t *testing.T, out string) {
	t.Helper()
	lines := strings.Split(out, "\n")
	for i, want := range []struct{ call, status, body string }{
		{"key: ", "200", "served"},
		{"session: ", "200", "served"},
		{"altered: ", "403", "InvalidSignatureException: The request signature we calculated does not match the signature you provided."},
	} {
		said, found := strings.CutPrefix(lines[min(i, len(lines)-1)], want.call)
		if !found || !strings.Contains(said, want.status) || !strings.Contains(said, want.body) {
			t.Errorf("%s%q, want %s and %s", want.call, said, want.status, want.body)
		}
	}
}
