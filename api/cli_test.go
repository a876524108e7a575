package api

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// step is a command of the AWS CLI. In it, {name} stands for what an earlier command has saved; save names the value that
// the command's --query prints; want is a part of the output, or of the error.
type step struct{ command, save, want string }

func TestCLI(t *testing.T) {
	t.Parallel()
	newCLI(t).runCLI(t, []step{
		{"sts get-caller-identity --query Arn", "", "user/admin"},
		{"ec2 describe-availability-zones --filters Name=state,Values=available --query AvailabilityZones[].[ZoneName,ZoneId]", "", "usw2-az3"},
		{"ec2 create-vpc --cidr-block 10.0.0.0/16 --tag-specifications ResourceType=vpc,Tags=[{Key=Name,Value=one}] --query Vpc.VpcId", "vpc", "vpc-"},
		{"ec2 create-vpc --cidr-block 10.0.0.0/8", "", "InvalidVpc.Range"},
		{"ec2 modify-vpc-attribute --vpc-id {vpc} --enable-dns-hostnames", "", ""},
		{"ec2 describe-vpc-attribute --vpc-id {vpc} --attribute enableDnsHostnames --query EnableDnsHostnames.Value", "", "true"},
		{"ec2 describe-vpcs --filters Name=tag:Name,Values=o* --query Vpcs[0].[VpcId,CidrBlock,State]", "", "10.0.0.0/16"},
		{"ec2 describe-vpcs --vpc-ids vpc-00000000000000000", "", "InvalidVpcID.NotFound"},
		{"ec2 create-subnet --vpc-id {vpc} --cidr-block 10.0.1.0/24 --availability-zone us-west-2b --query Subnet.SubnetId", "subnet", "subnet-"},
		{"ec2 create-subnet --vpc-id {vpc} --cidr-block 10.0.1.128/25", "", "InvalidSubnet.Conflict"},
		{"ec2 describe-subnets --filters Name=vpc-id,Values={vpc} --query Subnets[0].AvailableIpAddressCount", "", "251"},
		{"ec2 create-security-group --group-name web --description web --vpc-id {vpc} --query GroupId", "group", "sg-"},
		{"ec2 create-security-group --group-name web --description web --vpc-id {vpc}", "", "InvalidGroup.Duplicate"},
		{"ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 80-81 --cidr 10.0.0.0/8 --query SecurityGroupRules[0].SecurityGroupRuleId", "rule", "sgr-"},
		{"ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 80-81 --cidr 10.0.0.0/8", "", "InvalidPermission.Duplicate"},
		{"ec2 authorize-security-group-egress --group-id {group} --ip-permissions IpProtocol=-1,UserIdGroupPairs=[{GroupId={group}}] --query Return", "", "true"},
		{"ec2 revoke-security-group-egress --group-id {group} --ip-permissions IpProtocol=-1,IpRanges=[{CidrIp=0.0.0.0/0}] --query Return", "", "true"},
		{"ec2 revoke-security-group-egress --group-id {group} --ip-permissions IpProtocol=-1,Ipv6Ranges=[{CidrIpv6=::/0}]", "", "InvalidPermission.NotFound"},
		{"ec2 revoke-security-group-ingress --group-id {group} --security-group-rule-ids {rule} --query Return", "", "true"},
		{"ec2 describe-security-groups --filters Name=vpc-id,Values={vpc} Name=group-name,Values=default --query SecurityGroups[0].IpPermissions[0].UserIdGroupPairs[0].GroupId", "", "sg-"},
		{"ec2 describe-security-groups --group-ids {group} --query SecurityGroups[0].[IpPermissions,IpPermissionsEgress[0].IpProtocol]", "", "-1"},
		{"ec2 run-instances --subnet-id {subnet} --private-ip-address 10.0.1.9 --security-group-ids {group} --tag-specifications ResourceType=instance,Tags=[{Key=Name,Value=web}] --query Instances[0].InstanceId", "instance", "i-"},
		{"ec2 run-instances --subnet-id {subnet} --private-ip-address 10.0.1.9", "", "InvalidIPAddress.InUse"},
		{"ec2 run-instances --subnet-id {subnet} --count 2 --image-id ami-12345678 --query Instances[].[PrivateIpAddress,SecurityGroups[0].GroupName]", "", "10.0.1.5"},
		{"ec2 describe-instances --filters Name=instance-state-name,Values=pending Name=tag:Name,Values=web --query Reservations[].Instances[].[InstanceId,State.Name,PrivateIpAddress,Placement.AvailabilityZone]", "", "10.0.1.9"},
		{"ec2 describe-instances --instance-ids i-00000000000000000", "", "InvalidInstanceID.NotFound"},
		{"ec2 create-tags --resources {instance} {vpc} --tags Key=team,Value=red", "", ""},
		{"ec2 describe-tags --filters Name=key,Values=team --query Tags[].ResourceType", "", "instance"},
		{"ec2 delete-tags --resources {vpc} --tags Key=team", "", ""},
		{"ec2 delete-security-group --group-id {group}", "", "DependencyViolation"},
		{"ec2 delete-subnet --subnet-id {subnet}", "", "DependencyViolation"},
		{"ec2 delete-vpc --vpc-id {vpc}", "", "DependencyViolation"},
		{"ec2 terminate-instances --instance-ids {instance} --query TerminatingInstances[0].CurrentState.Name", "", "shutting-down"},
		{"vpc-lattice create-service --name parking --query id", "service", "svc-"},
		{"vpc-lattice get-service --service-identifier {service} --query name", "", "parking"},
		{"vpc-lattice create-service --name Not_Valid", "", "ValidationException"},
		{"vpc-lattice create-target-group --name tg-x --type INSTANCE --config port=80,protocol=HTTP,vpcIdentifier={vpc} --query arn", "", "ValidationException"},
		{"vpc-lattice create-target-group --name spots --type INSTANCE --config port=80,protocol=HTTP,vpcIdentifier={vpc} --query arn", "targets", "targetgroup/tg-"},
		{"vpc-lattice get-target-group --target-group-identifier {targets} --query config.vpcIdentifier", "", "vpc-"},
		{"vpc-lattice get-service --service-identifier svc-00000000000000000", "", "ResourceNotFoundException"},
		{"organizations describe-organization", "", "AWSOrganizationsNotInUseException"},
		{"organizations create-organization --query Organization.MasterAccountId", "", "100000000001"},
		{"organizations create-organization", "", "AlreadyInOrganizationException"},
		{"organizations list-roots --query Roots[0].Id", "root", "r-"},
		{"organizations enable-policy-type --root-id {root} --policy-type SERVICE_CONTROL_POLICY --query Root.PolicyTypes", "", "ENABLED"},
		{"organizations create-account --email red@example.com --account-name red --tags Key=team,Value=red --query CreateAccountStatus.AccountId", "account", "100000000002"},
		{"organizations create-account --email red@example.com --account-name red --query CreateAccountStatus.Id", "creation", "car-"},
		{"organizations describe-create-account-status --create-account-request-id {creation} --query CreateAccountStatus.FailureReason", "", "EMAIL_ALREADY_EXISTS"},
		{"organizations list-create-account-status --states SUCCEEDED --query CreateAccountStatuses[].AccountId", "", "100000000002"},
		{"organizations describe-account --account-id {account} --query Account.[Email,JoinedMethod,JoinedTimestamp]", "", "red@example.com"},
		{"organizations list-accounts --max-items 1 --query Accounts[].Id", "", "100000000001"},
		{"organizations create-organizational-unit --parent-id {root} --name prod --query OrganizationalUnit.Id", "unit", "ou-"},
		{"organizations create-organizational-unit --parent-id {root} --name prod", "", "DuplicateOrganizationalUnitException"},
		{"organizations update-organizational-unit --organizational-unit-id {unit} --name live --query OrganizationalUnit.Path", "", "/{root}/{unit}/"},
		{"organizations move-account --account-id {account} --source-parent-id {root} --destination-parent-id {unit}", "", ""},
		{"organizations list-parents --child-id {account} --query Parents[0].[Id,Type]", "", "{unit}"},
		{"organizations list-children --parent-id {unit} --child-type ACCOUNT --query Children[].Id", "", "{account}"},
		{"organizations list-accounts-for-parent --parent-id {unit} --query Accounts[].Paths[]", "", "/{root}/{unit}/{account}/"},
		{"organizations delete-organizational-unit --organizational-unit-id {unit}", "", "OrganizationalUnitNotEmptyException"},
		{`organizations create-policy --name deny --description none --type SERVICE_CONTROL_POLICY --content {"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}} --query Policy.PolicySummary.Id`, "policy", "p-"},
		{`organizations create-policy --name bad --description none --type SERVICE_CONTROL_POLICY --content {}`, "", "MalformedPolicyDocumentException"},
		{"organizations attach-policy --policy-id {policy} --target-id {unit}", "", ""},
		{"organizations list-policies-for-target --target-id {unit} --filter SERVICE_CONTROL_POLICY --query Policies[].Name", "", "FullAWSAccess"},
		{"organizations list-targets-for-policy --policy-id {policy} --query Targets[].Type", "", "ORGANIZATIONAL_UNIT"},
		{"organizations delete-policy --policy-id {policy}", "", "PolicyInUseException"},
		{"organizations detach-policy --policy-id {policy} --target-id {unit}", "", ""},
		{"organizations detach-policy --policy-id p-FullAWSAccess --target-id {unit}", "", "ConstraintViolationException"},
		{"organizations list-tags-for-resource --resource-id {account} --query Tags[0].Value", "", "red"},
		{"organizations describe-account --account-id 12", "", "InvalidInputException"},
		{"organizations remove-account-from-organization --account-id {account}", "", ""},
		{"organizations delete-organization", "", ""},
	})
}

// TestCLICertificates lives through the life of certificates and of the services that use them.
func TestCLICertificates(t *testing.T) {
	t.Parallel()
	p := newCLI(t)
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir, "parking.example.com")
	p.runCLI(t, []step{
		{"acm request-certificate --domain-name *.example.com --subject-alternative-names example.com --validation-method DNS --idempotency-token once --tags Key=team,Value=red --query CertificateArn", "issued", "arn:aws:acm:us-west-2:100000000001:certificate/"},
		{"acm request-certificate --domain-name *.example.com --idempotency-token once --query CertificateArn", "", "{issued}"},
		{"acm request-certificate --domain-name a.example.com --key-algorithm EC_prime256v1", "", "InvalidParameterException"},
		{"acm request-certificate --domain-name a.-b.example.com", "", "ValidationException"},
		{"acm wait certificate-validated --certificate-arn {issued}", "", ""},
		{"acm describe-certificate --certificate-arn {issued} --query Certificate.[Status,DomainName,Type,KeyAlgorithm,Issuer,DomainValidationOptions[0].ResourceRecord.Type]", "", "CNAME"},
		{"acm describe-certificate --certificate-arn {issued} --query Certificate.ImportedAt", "", "null"},
		{"acm get-certificate --certificate-arn {issued} --query CertificateChain", "", "BEGIN CERTIFICATE"},
		{"acm import-certificate --certificate fileb://" + certificate + " --private-key fileb://" + key + " --query CertificateArn", "own", "certificate/"},
		{"acm import-certificate --certificate fileb://" + certificate + " --private-key fileb://" + certificate, "", "ValidationException"},
		{"acm import-certificate --certificate-arn {own} --certificate fileb://" + certificate + " --private-key fileb://" + key + " --query CertificateArn", "", "{own}"},
		{"acm list-certificates --max-items 1 --page-size 1 --query CertificateSummaryList[].CertificateArn", "", "certificate/"},
		{"acm list-certificates --certificate-statuses ISSUED --includes keyTypes=RSA_2048 --query length(CertificateSummaryList)", "", "2"},
		{"acm list-certificates --includes keyTypes=EC_prime256v1 --query length(CertificateSummaryList)", "", "0"},
		{"acm add-tags-to-certificate --certificate-arn {own} --tags Key=team,Value=blue Key=b", "", ""},
		{"acm remove-tags-from-certificate --certificate-arn {own} --tags Key=b", "", ""},
		{"acm list-tags-for-certificate --certificate-arn {own} --query Tags[].Value", "", "blue"},
		{"acm update-certificate-options --certificate-arn {issued} --options CertificateTransparencyLoggingPreference=DISABLED", "", ""},
		{"vpc-lattice create-service --name parking --certificate-arn {own}", "", "ValidationException"},
		{"vpc-lattice create-service --name parking --custom-domain-name billing.example.net --certificate-arn {issued}", "", "ValidationException"},
		{"vpc-lattice create-service --name parking --custom-domain-name parking.example.com --certificate-arn {own} --query certificateArn", "", "{own}"},
		{"vpc-lattice create-service --name billing --custom-domain-name billing.example.com --certificate-arn {issued} --query id", "billing", "svc-"},
		{"acm describe-certificate --certificate-arn {issued} --query Certificate.InUseBy[0]", "", "service/{billing}"},
		{"acm delete-certificate --certificate-arn {issued}", "", "ResourceInUseException"},
		{"acm export-certificate --certificate-arn {issued} --passphrase fileb://" + key, "", "UnknownOperationException"},
		{"acm describe-certificate --certificate-arn arn:aws:acm:us-west-2:100000000001:certificate/none", "", "ResourceNotFoundException"},
		{"acm request-certificate --domain-name a.example.com --query CertificateArn", "spare", "certificate/"},
		{"acm delete-certificate --certificate-arn {spare}", "", ""},
		{"acm get-certificate --certificate-arn {spare}", "", "ResourceNotFoundException"},
	})
}

// selfSigned writes a certificate that certifies itself, and its key.
func selfSigned(t *testing.T, dir, name string) (certificate, key string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// newCLI is a plane for tests with the AWS CLI, which they skip without it.
func newCLI(t *testing.T) plane {
	t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	if testing.Short() {
		t.Skip("the AWS CLI takes its time")
	}
	return newPlane(t)
}

// A cli runs commands of the AWS CLI, as the root user of the management account.
type cli struct {
	env []string
	// in and out are those of a Python process that has the CLI loaded, which takes a second; nil where the CLI is no
	// library of the system's Python. Then each command is a process.
	in  io.Writer
	out *json.Decoder
}

// loaded runs one command for each line of its input, in one process, and prints what the command printed. Commands have
// nothing in common but what was read of the services' models.
const loaded = `
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
models = create_clidriver().session.get_component("data_loader")
for line in sys.stdin:
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            driver = create_clidriver()
            driver.session.register_component("data_loader", models)
            driver.main(json.loads(line))
        except SystemExit:
            pass
    print(json.dumps(printed.buffer.getvalue().decode()), flush=True)
`

func (p plane) startCLI(t *testing.T) *cli {
	t.Helper()
	c := &cli{env: append(os.Environ(),
		"AWS_ENDPOINT_URL="+p.url, "AWS_REGION="+testRegion, "AWS_DEFAULT_REGION="+testRegion, "AWS_PAGER=",
		"AWS_ACCESS_KEY_ID="+p.credential.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+p.credential.Secret, "AWS_SESSION_TOKEN=",
		"AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE="+t.TempDir()+"/none", "AWS_SHARED_CREDENTIALS_FILE="+t.TempDir()+"/none",
		"AWS_EC2_METADATA_DISABLED=true",
	)}
	if exec.Command("python3", "-c", "import awscli.clidriver").Run() != nil {
		return c
	}
	process := exec.CommandContext(t.Context(), "python3", "-c", loaded)
	process.Env, process.Stderr = c.env, os.Stderr
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = process.Wait() // it may have been ended with the test's context
	})
	c.in, c.out = in, json.NewDecoder(out)
	return c
}

// runCLI runs commands one after another.
func (p plane) runCLI(t *testing.T, steps []step) {
	t.Helper()
	saved, runner := map[string]string{}, p.startCLI(t)
	for _, c := range steps {
		fill := func(text string) string {
			return regexp.MustCompile(`\{(\w+)\}`).ReplaceAllStringFunc(text, func(name string) string {
				if value, ok := saved[strings.Trim(name, "{}")]; ok {
					return value
				}
				return name
			})
		}
		command := fill(c.command)
		output := runner.run(t, command)
		if !strings.Contains(output, fill(c.want)) {
			t.Fatalf("aws %s\n%s\nwant %s", command, output, fill(c.want))
		}
		if c.save != "" {
			var value string
			if err := json.Unmarshal([]byte(output), &value); err != nil {
				t.Fatalf("aws %s\n%s: %v", command, output, err)
			}
			saved[c.save] = value
		}
	}
}

// run runs one command and returns what it prints, errors included.
func (c *cli) run(t *testing.T, command string) string {
	t.Helper()
	args := append([]string{"--output", "json"}, strings.Fields(command)...)
	if c.in != nil {
		var printed string
		if err := json.NewEncoder(c.in).Encode(args); err != nil {
			t.Fatalf("aws %s: %v", command, err)
		}
		if err := c.out.Decode(&printed); err != nil {
			t.Fatalf("aws %s: %v", command, err)
		}
		return printed
	}
	run := exec.CommandContext(t.Context(), "aws", args...)
	run.Env = c.env
	output, err := run.CombinedOutput()
	if err != nil && len(output) == 0 {
		return fmt.Sprint(err)
	}
	return string(output)
}
