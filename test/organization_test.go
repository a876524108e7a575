package test

import (
	"strings"
	"testing"
)

// TestOrganization makes a second account with the AWS CLI and works in it: each account sees what it owns.
func TestOrganization(t *testing.T) {
	need(t, "aws")
	w := newWorkplace(t)
	w.serve("--data", "many")
	out := w.shell(`
eval "$(./pergola env --data many)"
ORGANIZATION=$(aws organizations create-organization --query Organization.Id --output text)
ROOT=$(aws organizations list-roots --query 'Roots[0].Id' --output text)
UNIT=$(aws organizations create-organizational-unit --parent-id $ROOT --name partners --query OrganizationalUnit.Id --output text)
ACCOUNT=$(aws organizations create-account --email partner@example.com --account-name partner --query CreateAccountStatus.AccountId --output text)
aws organizations move-account --account-id $ACCOUNT --source-parent-id $ROOT --destination-parent-id $UNIT
aws vpc-lattice create-service --name ours >/dev/null

if ./pergola env --data many --account 999999999999 2>refused; then echo "credentials for nobody"; fi
cat refused

eval "$(./pergola env --data many --account $ACCOUNT)"
echo "account $(aws sts get-caller-identity --query Account --output text)"
echo "member of $(aws organizations describe-organization --query Organization.Id --output text | sed s/$ORGANIZATION/it/)"
aws vpc-lattice create-service --name theirs >/dev/null
echo "services: $(aws vpc-lattice list-services --query 'items[].name' --output text)"
if aws organizations list-accounts 2>refused; then echo "a member lists accounts"; fi
cat refused

eval "$(./pergola env --data many)"
echo "services: $(aws vpc-lattice list-services --query 'items[].name' --output text)"
`)
	for _, want := range []string{
		"account 999999999999 does not exist", "account 100000000002", "member of it", "services: theirs", "AccessDeniedException", "services: ours",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output has no %q:\n%s", want, out)
		}
	}
	for _, not := range []string{"credentials for nobody", "a member lists accounts"} {
		if strings.Contains(out, not) {
			t.Errorf("%s:\n%s", not, out)
		}
	}
}
