package test

import (
	"strings"
	"testing"
)

// TestRoleOfAnInstance lets unmodified tools inside an instance find the instance's role and call a service with it,
// and has explain say why others may not.
func TestRoleOfAnInstance(t *testing.T) {
	need(t, "aws", "curl", "python3")
	w := newWorkplace(t)
	if ready := w.serve("--data", "role"); strings.Contains(ready, "(loopback") {
		t.Skip("the loopback fabric has no metadata service that tools find without being told")
	}
	out := w.shell(`
eval "$(./pergola env --data role)"
aws iam create-role --role-name orders-client --assume-role-policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}' >/dev/null
aws iam attach-role-policy --role-name orders-client --policy-arn arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess
aws iam create-instance-profile --instance-profile-name orders-client >/dev/null
aws iam add-role-to-instance-profile --instance-profile-name orders-client --role-name orders-client
VPC=$(aws ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId --output text)
SUBNET=$(aws ec2 create-subnet --vpc-id $VPC --cidr-block 10.0.12.0/24 --query Subnet.SubnetId --output text)
CLIENT=$(aws ec2 run-instances --image-id ami-00000000000000000 --subnet-id $SUBNET --private-ip-address 10.0.12.30 --iam-instance-profile Name=orders-client --query 'Instances[0].InstanceId' --output text)
SERVER=$(aws ec2 run-instances --image-id ami-00000000000000000 --subnet-id $SUBNET --private-ip-address 10.0.12.31 --query 'Instances[0].InstanceId' --output text)
admit $VPC
aws ec2 wait instance-running --instance-ids $CLIENT $SERVER
./pergola exec --data role $SERVER -- sh -c 'exec python3 -m http.server 8080 --bind $PERGOLA_ADDRESS' >/dev/null 2>&1 &

SN=$(aws vpc-lattice create-service-network --name mesh --auth-type AWS_IAM --query id --output text)
SVC=$(aws vpc-lattice create-service --name orders --auth-type AWS_IAM --query id --output text)
TG=$(aws vpc-lattice create-target-group --name orders --type INSTANCE --config "port=8080,protocol=HTTP,vpcIdentifier=$VPC" --query id --output text)
aws vpc-lattice register-targets --target-group-identifier $TG --targets id=$SERVER >/dev/null
aws vpc-lattice create-listener --service-identifier $SVC --name http --protocol HTTP --port 80 --default-action "forward={targetGroups=[{targetGroupIdentifier=$TG}]}" >/dev/null
aws vpc-lattice create-service-network-service-association --service-network-identifier $SN --service-identifier $SVC >/dev/null
aws vpc-lattice create-service-network-vpc-association --service-network-identifier $SN --vpc-identifier $VPC >/dev/null
aws vpc-lattice put-auth-policy --resource-identifier $SN --policy '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalType":"Anonymous"}}}]}' >/dev/null
aws vpc-lattice put-auth-policy --resource-identifier $SVC --policy '{"Version":"2012-10-17","Statement":[{"Sid":"clients","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::100000000001:role/orders-client"},"Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}}]}' >/dev/null
NAME=$(aws vpc-lattice get-service --service-identifier $SVC --query dnsEntry.domainName --output text)
until [ "$(aws vpc-lattice list-targets --target-group-identifier $TG --query 'items[0].status' --output text)" = HEALTHY ]; do :; done

cat >inside <<'END'
unset AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_EC2_METADATA_DISABLED
aws configure list | grep access_key
imds=http://169.254.169.254/latest
token=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $imds/api/token)
[ "$(curl -s -H "X-aws-ec2-metadata-token: $token" $imds/meta-data/mac)" = "$(python3 -c 'import uuid; print(":".join(f"{uuid.getnode():012x}"[i:i+2] for i in range(0, 12, 2)))')" ] && echo "same hardware address"
curl -s -H "X-aws-ec2-metadata-token: $token" $imds/meta-data/iam/security-credentials/orders-client >credentials
field() { python3 -c "import json; print(json.load(open('credentials'))['$1'])"; }
AWS_ACCESS_KEY_ID=$(field AccessKeyId) AWS_SECRET_ACCESS_KEY=$(field SecretAccessKey) AWS_SESSION_TOKEN=$(field Token)
call() { curl -s -o body -w '%{http_code} ' --aws-sigv4 "aws:amz:$AWS_REGION:vpc-lattice-svcs" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@"; }
echo "unsigned $(curl -s -o body -w '%{http_code} ' http://$1/; cut -c1-300 body)"
echo "signed $(call http://$1/)"
echo "deleting $(call -X DELETE http://$1/; cut -c1-300 body)"
END
./pergola exec --data role $CLIENT -- bash inside $NAME
./pergola explain --data role --from $CLIENT --as arn:aws:iam::100000000001:role/orders-client DELETE http://$NAME/
kill %1
`)
	for _, want := range []string{
		"iam-role", "same hardware address",
		"unsigned 403 AccessDeniedException: User: anonymous is not authorized",
		"signed 200",
		"deleting 403 AccessDeniedException: User: arn:aws:sts::100000000001:assumed-role/orders-client/i-",
		"statement 1 (clients)", "RequestMethod: the policy has GET, the request DELETE",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output has no %q:\n%s", want, out)
		}
	}
}
