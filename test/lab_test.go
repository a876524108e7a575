package test

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestLab goes through a hands-on lab as its readers do, with the AWS CLI: a service network and a service that both
// ask for IAM, an address behind a target group, a listener, both associations, an auth policy that allows the reader to
// GET, and the way back. The lab forgets that its network asks for IAM too: until that has a policy, even who has signed
// is refused, and told by which level.
func TestLab(t *testing.T) {
	need(t, "aws", "curl", "python3")
	w := newWorkplace(t)
	w.serve("--data", "lab")
	program, err := filepath.Abs("../docs/signing/sign.py")
	if err != nil {
		t.Fatal(err)
	}
	out := w.shell(`
SIGN='` + program + `'
eval "$(./pergola env --data lab)"
VPC=$(aws ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId --output text)
SUBNET=$(aws ec2 create-subnet --vpc-id $VPC --cidr-block 10.0.12.0/24 --query Subnet.SubnetId --output text)
SG=$(aws ec2 create-security-group --group-name clients --description 'callers of the mesh' --vpc-id $VPC --query GroupId --output text)
aws ec2 authorize-security-group-ingress --group-id $SG --protocol tcp --port 80 --cidr 10.0.0.0/16 >/dev/null
INSTANCE=$(aws ec2 run-instances --image-id ami-00000000000000000 --subnet-id $SUBNET --private-ip-address 10.0.12.31 --query 'Instances[0].InstanceId' --output text)
admit $VPC
aws ec2 wait instance-running --instance-ids $INSTANCE
./pergola exec --data lab $INSTANCE -- sh -c 'exec python3 -m http.server 8080 --bind $PERGOLA_ADDRESS' >/dev/null 2>&1 &

SN_ARN=$(aws vpc-lattice create-service-network --name lab-mesh --auth-type AWS_IAM --query arn --output text)
SVC_ARN=$(aws vpc-lattice create-service --name lab-orders --auth-type AWS_IAM --query arn --output text)
echo "network $(aws vpc-lattice get-service-network --service-network-identifier $SN_ARN --query authType --output text)"

TG_ARN=$(aws vpc-lattice create-target-group --name lab-tg --type IP --config '{"port":8080,"protocol":"HTTP","vpcIdentifier":"'$VPC'","ipAddressType":"IPV4","healthCheck":{"enabled":true,"protocol":"HTTP","path":"/"}}' --query arn --output text)
aws vpc-lattice register-targets --target-group-identifier $TG_ARN --targets id=10.0.12.31,port=8080
LISTENER_ARN=$(aws vpc-lattice create-listener --service-identifier $SVC_ARN --name http --protocol HTTP --port 80 --default-action '{"forward":{"targetGroups":[{"targetGroupIdentifier":"'$TG_ARN'","weight":100}]}}' --query arn --output text)

SNSA=$(aws vpc-lattice create-service-network-service-association --service-network-identifier $SN_ARN --service-identifier $SVC_ARN --query id --output text)
SNVA=$(aws vpc-lattice create-service-network-vpc-association --service-network-identifier $SN_ARN --vpc-identifier $VPC --security-group-ids $SG --query id --output text)
until [ "$(aws vpc-lattice list-targets --target-group-identifier $TG_ARN --query 'items[0].status' --output text)" = HEALTHY ]; do :; done
echo "target HEALTHY"

DNS=$(aws vpc-lattice get-service --service-identifier $SVC_ARN --query dnsEntry.domainName --output text)
echo "unsigned=$(./pergola exec --data lab $INSTANCE -- curl -s -o /dev/null -w '%{http_code}' http://$DNS/)"

MY_ROLE=$(aws sts get-caller-identity --query Arn --output text)
cat > lab-auth.json <<JSON
{ "Version":"2012-10-17","Statement":[{
"Effect":"Allow","Principal":{"AWS":"$MY_ROLE"},
"Action":"vpc-lattice-svcs:Invoke","Resource":"*",
"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}
}]}
JSON
aws vpc-lattice put-auth-policy --resource-identifier "$SVC_ARN" --policy file://lab-auth.json --query state --output text
ask() { ./pergola exec --data lab $INSTANCE -- "$@" 2>&1 | tr '\n' ' '; }
echo "unsigned with a policy=$(ask curl -s -o /dev/null -w '%{http_code}' http://$DNS/)"
echo "signed without one of the network: $(ask python3 $SIGN http://$DNS/)"
aws vpc-lattice put-auth-policy --resource-identifier "$SN_ARN" --policy '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalType":"Anonymous"}}}]}' >/dev/null
echo "unsigned with both=$(ask curl -s -o /dev/null -w '%{http_code}' http://$DNS/)"
echo "signed=$(ask python3 $SIGN http://$DNS/)"
echo "policy: $(aws vpc-lattice get-auth-policy --resource-identifier "$SVC_ARN" --query policy --output text | tr -d '\n')"

aws vpc-lattice update-service-network --service-network-identifier $SN_ARN --auth-type NONE >/dev/null
aws vpc-lattice update-service --service-identifier $SVC_ARN --auth-type NONE >/dev/null
echo "open=$(./pergola exec --data lab $INSTANCE -- curl -s -o /dev/null -w '%{http_code}' http://$DNS/)"
if aws vpc-lattice delete-service --service-identifier $SVC_ARN 2>refused; then echo "a service in use was deleted"; fi
cat refused

aws vpc-lattice delete-auth-policy --resource-identifier "$SVC_ARN"
aws vpc-lattice delete-service-network-vpc-association --service-network-vpc-association-identifier $SNVA
aws vpc-lattice delete-service-network-service-association --service-network-service-association-identifier $SNSA
aws vpc-lattice delete-listener --service-identifier $SVC_ARN --listener-identifier $LISTENER_ARN
aws vpc-lattice delete-target-group --target-group-identifier $TG_ARN
aws vpc-lattice delete-service --service-identifier $SVC_ARN
aws vpc-lattice delete-service-network --service-network-identifier $SN_ARN
echo "left: $(aws vpc-lattice list-services --query 'length(items)') $(aws vpc-lattice list-service-networks --query 'length(items)')"
kill %1
`)
	for _, want := range []string{
		"network AWS_IAM", "target HEALTHY", "unsigned=403", "Active", "unsigned with a policy=403",
		"signed without one of the network: 403", "because no network-based policy allows the vpc-lattice-svcs:Invoke action",
		"unsigned with both=403", "signed=200", `policy: { "Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::100000000001:user/admin"}`,
		"open=200", "ConflictException", `"status": "DELETE_IN_PROGRESS"`, "left: 0 0",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the lab's output has no %q:\n%s", want, out)
		}
	}
}
