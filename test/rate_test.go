package test

import (
	"strings"
	"testing"
)

// TestRequestsPerSecond has a service refuse what goes beyond the quota that the program was given.
func TestRequestsPerSecond(t *testing.T) {
	need(t, "aws", "curl")
	w := newWorkplace(t)
	w.serve("--data", "rate", "--requests-per-second", "2")
	out := w.shell(`
eval "$(./pergola env --data rate)"
VPC=$(aws ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId --output text)
SUBNET=$(aws ec2 create-subnet --vpc-id $VPC --cidr-block 10.0.12.0/24 --query Subnet.SubnetId --output text)
INSTANCE=$(aws ec2 run-instances --image-id ami-00000000000000000 --subnet-id $SUBNET --query 'Instances[0].InstanceId' --output text)
aws ec2 wait instance-running --instance-ids $INSTANCE
SN=$(aws vpc-lattice create-service-network --name rate --query id --output text)
SVC=$(aws vpc-lattice create-service --name rate --query id --output text)
aws vpc-lattice create-listener --service-identifier $SVC --name http --protocol HTTP --default-action fixedResponse={statusCode=404} >/dev/null
SNSA=$(aws vpc-lattice create-service-network-service-association --service-network-identifier $SN --service-identifier $SVC --query id --output text)
SNVA=$(aws vpc-lattice create-service-network-vpc-association --service-network-identifier $SN --vpc-identifier $VPC --query id --output text)
until [ "$(aws vpc-lattice get-service-network-service-association --service-network-service-association-identifier $SNSA --query status --output text)" = ACTIVE ]; do :; done
until [ "$(aws vpc-lattice get-service-network-vpc-association --service-network-vpc-association-identifier $SNVA --query status --output text)" = ACTIVE ]; do :; done
DNS=$(aws vpc-lattice get-service --service-identifier $SVC --query dnsEntry.domainName --output text)
./pergola exec --data rate $INSTANCE -- curl -s -w '%{http_code}\n' "http://$DNS/[1-50]"
`)
	answered, refused := strings.Count(out, "404"), strings.Count(out, "Too Many Requests429")
	if answered < 2 || refused == 0 || answered+refused != 50 {
		t.Errorf("%d of 50 were answered and %d refused:\n%s", answered, refused, out)
	}
}
