package test

import (
	"strings"
	"testing"
)

// TestResources lets unmodified tools put a server in one VPC behind a gateway, and reach it from an instance with the
// very same address in another VPC: by its generated name, by its own name, and on all ports that it has.
func TestResources(t *testing.T) {
	need(t, "aws", "curl", "python3")
	w := newWorkplace(t)
	w.serve("--data", "resources")
	out := w.shell(`
eval "$(./pergola env --data resources)"
place() {
	VPC=$(aws ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId --output text)
	SUBNET=$(aws ec2 create-subnet --vpc-id $VPC --cidr-block 10.0.12.0/24 --query Subnet.SubnetId --output text)
	INSTANCE=$(aws ec2 run-instances --image-id ami-00000000000000000 --subnet-id $SUBNET \
		--private-ip-address 10.0.12.30 --query 'Instances[0].InstanceId' --output text)
	aws ec2 wait instance-running --instance-ids $INSTANCE
}
place; SERVER=$INSTANCE; SERVER_SUBNET=$SUBNET; SERVER_VPC=$VPC
place; CLIENT=$INSTANCE; CLIENT_VPC=$VPC
mkdir site; echo "from the server" >site/index.html
./pergola exec --data resources $SERVER -- sh -c 'exec python3 -m http.server 8080 --directory site --bind $PERGOLA_ADDRESS' \
	>/dev/null 2>&1 &

GATEWAY=$(aws vpc-lattice create-resource-gateway --name way --vpc-identifier $SERVER_VPC --subnet-ids $SERVER_SUBNET \
	--query id --output text)
RESOURCE=$(aws vpc-lattice create-resource-configuration --name site --type SINGLE \
	--resource-gateway-identifier $GATEWAY --port-ranges 8000-8100 --custom-domain-name site.example.com \
	--resource-configuration-definition 'ipResource={ipAddress=10.0.12.30}' --query id --output text)
SN=$(aws vpc-lattice create-service-network --name mesh --query id --output text)
ASSOCIATION=$(aws vpc-lattice create-service-network-resource-association --service-network-identifier $SN \
	--resource-configuration-identifier $RESOURCE --private-dns-enabled --query id --output text)
aws vpc-lattice create-service-network-vpc-association --service-network-identifier $SN --vpc-identifier $CLIENT_VPC \
	--private-dns-enabled --dns-options privateDnsPreference=ALL_DOMAINS >/dev/null
until [ "$(aws vpc-lattice get-service-network-resource-association \
	--service-network-resource-association-identifier $ASSOCIATION --query status --output text)" = ACTIVE ]; do :; done
NAME=$(aws vpc-lattice get-service-network-resource-association \
	--service-network-resource-association-identifier $ASSOCIATION --query dnsEntry.domainName --output text)
until ./pergola exec --data resources $CLIENT -- curl -sf http://$NAME:8080/; do :; done
echo "by its name: $(./pergola exec --data resources $CLIENT -- curl -s http://site.example.com:8080/)"
echo "on another port: $(./pergola exec --data resources $CLIENT -- curl -s http://$NAME:8101/ || echo refused)"
echo "deleting: $(aws vpc-lattice delete-resource-gateway --resource-gateway-identifier $GATEWAY 2>&1)"
aws vpc-lattice start-domain-verification --domain-name example.com --query txtMethodConfig.value --output text
kill %1
`)
	for _, want := range []string{"\nfrom the server\n", "by its name: from the server\n", "on another port: ",
		"ConflictException", "\nvpc-lattice:"} {
		if !strings.Contains("\n"+out, want) {
			t.Errorf("%q is not in the output:\n%s", want, out)
		}
	}
	if strings.Contains(out, "on another port: from") {
		t.Errorf("a port that the resource does not have is open:\n%s", out)
	}
}
