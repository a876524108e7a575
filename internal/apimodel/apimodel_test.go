package apimodel

import (
	"os"
	"path/filepath"
	"testing"
)

// TestModelsAreWellFormed reads each model of the project, makes its structs and writes it as it is.
func TestModelsAreWellFormed(t *testing.T) {
	paths, err := filepath.Glob("../../aws/*/model.json")
	if err != nil || len(paths) < 7 {
		t.Fatalf("found %v, %v", paths, err)
	}
	for _, path := range append(paths, "../../lattice/model.json") {
		m, err := Read(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := m.Structs(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.Write(); err != nil || string(got) != string(want) {
			t.Errorf("%s is not as internal/trimmodel writes it (%v)", path, err)
		}
		_, reached := m.Reached()
		for name := range m.Shapes.All() {
			if !reached[name] {
				t.Errorf("%s: nothing leads to the shape %s", path, name)
			}
		}
	}
}

// TestRulesAreUsed finds rules for patterns that no model has any more.
func TestRulesAreUsed(t *testing.T) {
	used := map[string]bool{}
	paths, err := filepath.Glob("../../aws/*/model.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, "../../lattice/model.json") {
		m, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range m.Shapes.All() {
			used[s.Pattern] = true
		}
	}
	for pattern, rule := range rules {
		if !used[pattern] {
			t.Errorf("rules.txt: no model has the pattern %s of %s", pattern, rule)
		}
	}
}

func TestGoName(t *testing.T) {
	for name, want := range map[string]string{
		"CreateVpc": "CreateVPC", "vpcId": "VPCID", "SecurityGroupIds": "SecurityGroupIDs", "Ipv6CidrBlock": "IPv6CIDRBlock",
		"DescribeNetworkAcls": "DescribeNetworkACLs", "AssociateIamInstanceProfile": "AssociateIAMInstanceProfile",
		"numberOfAssociatedVPCs": "NumberOfAssociatedVPCs", "KMSKeyArn": "KMSKeyARN", "ipAddressType": "IPAddressType",
		"Identifier": "Identifier", "HttpRedirect": "HTTPRedirect", "Url": "URL",
	} {
		if got := GoName(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
