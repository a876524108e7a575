package explain

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"pergola/dataplane/access"
	"pergola/lattice"
	"pergola/policy"
	"pergola/snapshot"
)

// cure adds what to do, once.
func (w *walk) cure(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(w.answer.Cures, line) {
		w.answer.Cures = append(w.answer.Cures, line)
	}
}

// networksWith are the service networks in which a name is a service's.
func (w *walk) networksWith(name string) (ids []string, service *snapshot.Service) {
	for vpc := range w.Snapshot.VPCs.Values() {
		for _, door := range vpc.Doors {
			if s := door.Network.Service([]byte(name)); s != nil {
				ids, service = append(ids, door.Network.ID), s
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), service
}

// cureAssociation is for a VPC without a service network.
func (w *walk) cureAssociation() {
	network := "NETWORK"
	if known, _ := w.networksWith(w.url.Hostname()); len(known) > 0 {
		network = known[0]
	}
	w.cure("associate the VPC: aws vpc-lattice create-service-network-vpc-association --service-network-identifier %s "+
		"--vpc-identifier %s", network, w.vpc.ID)
	w.cure("what there is: aws vpc-lattice list-service-network-vpc-associations --vpc-identifier %s", w.vpc.ID)
}

// cureName is for a name that is no service's in the networks that the VPC reaches.
func (w *walk) cureName() {
	service := "SERVICE"
	if _, known := w.networksWith(w.url.Hostname()); known != nil {
		service = known.ID
	}
	w.cure("associate the service: aws vpc-lattice create-service-network-service-association "+
		"--service-network-identifier %s --service-identifier %s", w.vpc.Doors[0].Network.ID, service)
	for _, door := range w.vpc.Doors {
		w.cure("what there is: aws vpc-lattice list-service-network-service-associations --service-network-identifier %s",
			door.Network.ID)
	}
}

// curePort is for a port on which nothing is served.
func (w *walk) curePort(service *snapshot.Service) {
	for _, l := range service.Listeners {
		w.cure("the service listens by %s on port %d", l.Protocol, l.Port)
	}
	w.cure("add a listener: aws vpc-lattice create-listener --service-identifier %s --name NAME --protocol HTTP --port "+
		"PORT --default-action …", service.ID)
}

// cureRule is for a request that a rule answers on the spot.
func (w *walk) cureRule() {
	service, listener := w.listener.Service.ID, w.listener.ID
	w.cure("the rules; the lowest priority wins: aws vpc-lattice list-rules --service-identifier %s "+
		"--listener-identifier %s", service, listener)
	if w.rule.Priority > 0 {
		w.cure("change it: aws vpc-lattice update-rule --service-identifier %s --listener-identifier %s "+
			"--rule-identifier %s …", service, listener, w.rule.ID)
		return
	}
	w.cure("add a rule that matches: aws vpc-lattice create-rule --service-identifier %s --listener-identifier %s "+
		"--name NAME --priority N --match … --action …", service, listener)
	w.cure("or change the default action: aws vpc-lattice update-listener --service-identifier %s --listener-identifier "+
		"%s --default-action …", service, listener)
}

// cureOpen is for a service that asks for nobody's signature.
func (w *walk) cureOpen() {
	w.cure("anybody may call; to ask for IAM: aws vpc-lattice update-service --service-identifier %s --auth-type AWS_IAM",
		w.listener.Service.ID)
	w.cure("and aws vpc-lattice update-service-network --service-network-identifier %s --auth-type AWS_IAM",
		w.door.Network.ID)
}

// region is that for which requests are signed.
func (w *walk) region() string {
	if arn, err := lattice.ParseARN(w.listener.Service.ARN); err == nil && arn.Region != "" {
		return arn.Region
	}
	return "$AWS_REGION"
}

// cureSigning says how to sign.
func (w *walk) cureSigning() {
	w.cure(`sign it: curl --aws-sigv4 "aws:amz:%s:vpc-lattice-svcs" `+
		`--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN" `+
		`-H "x-amz-content-sha256: UNSIGNED-PAYLOAD" %s`,
		w.region(), w.url)
	w.cure("docs/signing.md has the same for each SDK")
}

// cureSignature is for a signature that is not good: texts of refusals, and what to do about each.
func (w *walk) cureSignature(refusal string) {
	for _, row := range []struct{ text, cure string }{
		{"correct service", "sign for the service vpc-lattice-svcs; vpc-lattice is the API"},
		{"valid Region", "sign for the region " + w.region() + `: eval "$(pergola env)" sets AWS_REGION`},
		{"Signed payloads are not supported", "send x-amz-content-sha256: UNSIGNED-PAYLOAD, and sign that in place of a " +
			"hash of the body"},
		{"Missing the 'x-amz-content-sha256'", "send x-amz-content-sha256: UNSIGNED-PAYLOAD, and sign it"},
		{"security token included in the request is invalid",
			`the key is not of this deployment, or misses its token: eval "$(pergola env)", or assume the role again`},
		{"security token included in the request is expired", "assume the role again: aws sts assume-role …"},
		{"Signature expired", "sign each request anew, and set the clock"},
		{"Signature not yet current", "set the clock"},
		{"does not match the signature you provided", "compare your canonical request with the one above, line by line: " +
			"docs/signing.md"},
	} {
		if strings.Contains(refusal, row.text) {
			w.cure("%s", row.cure)
		}
	}
	w.cureSigning()
	w.cure(`docs/authorisation.md, "The signature is not good", has the cure for each text`)
}

// curePolicy is for what the policies of a level refuse.
func (w *walk) curePolicy(x access.Explanation) {
	denied := x.Policy.Effect == policy.Deny
	who := cureFor{w.principal(x), denied}
	switch x.Policy.Level {
	case "network":
		who.authPolicy(w, w.door.Network.ID, "service network")
	case "service":
		who.authPolicy(w, w.listener.Service.ID, "service")
	case policy.LevelServiceControl:
		w.cure("the policies of the organisation: aws organizations list-policies-for-target --target-id ACCOUNT --filter " +
			"SERVICE_CONTROL_POLICY")
		w.cure("to allow it again: aws organizations attach-policy --policy-id p-FullAWSAccess --target-id ACCOUNT")
	case policy.LevelIdentity:
		who.identity(w)
	case policy.LevelBoundary:
		w.cure("allow it in the permissions boundary, or take that away: %s", who.command("delete", "permissions-boundary"))
	case policy.LevelSession:
		w.cure("assume the role without session policies, or with others: aws sts assume-role --role-arn ROLE " +
			"--role-session-name NAME")
	}
}

// principal is the ARN of the presumed signer.
func (w *walk) principal(x access.Explanation) string {
	if w.question.As != "" {
		return w.question.As
	}
	return x.Caller.Principal
}

// cureFor is whom a cure is for.
type cureFor struct {
	arn    string
	denied bool
}

func (c cureFor) authPolicy(w *walk, id, what string) {
	w.cure("the policy: aws vpc-lattice get-auth-policy --resource-identifier %s", id)
	if c.denied {
		w.cure("narrow the statement that denies: aws vpc-lattice put-auth-policy --resource-identifier %s --policy "+
			"file://policy.json", id)
		return
	}
	principal := "the principal"
	if c.arn != "" {
		principal = c.arn
	}
	w.cure("let the %s's policy allow %s, with this method and path: aws vpc-lattice put-auth-policy "+
		"--resource-identifier %s --policy file://policy.json", what, principal, id)
}

func (c cureFor) identity(w *walk) {
	if c.denied {
		w.cure("narrow the statement of %s that denies", c.arn)
		return
	}
	w.cure("give it a policy that allows the call: %s --policy-arn arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess",
		c.command("attach", "policy"))
}

// command is the command of IAM that does something with a policy of the user or the role.
func (c cureFor) command(verb, what string) string {
	arn, _ := lattice.ParseARN(c.arn)
	kind, name, _ := strings.Cut(arn.Resource, "/")
	if kind == "assumed-role" {
		kind = "role"
		name, _, _ = strings.Cut(name, "/")
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	if kind != "user" {
		kind = "role"
	}
	return fmt.Sprintf("aws iam %s-%s-%s --%s-name %s", verb, kind, what, kind, name)
}

// isAboutTheCaller reports whether an element of a statement is about who has signed.
func isAboutTheCaller(c policy.Check) bool {
	key := strings.ToLower(c.Key)
	return strings.HasSuffix(c.Element, "Principal") || strings.HasPrefix(key, "aws:principal") ||
		strings.HasPrefix(key, "aws:user") && key != "aws:useragent"
}

// signingCounts reports whether another decision of the level that refused is possible for a request that is signed:
// some statement that would allow it lacks nothing but a caller, or the one that denies asks for one.
func signingCounts(x access.Explanation) bool {
	for _, level := range x.Levels {
		if level.Name != x.Policy.Level {
			continue
		}
		for _, p := range level.Policies {
			for _, s := range p.Statements {
				if s.Effect == policy.Allow && x.Policy.Effect != policy.Deny && !s.Applies &&
					!slices.ContainsFunc(s.Checks, func(c policy.Check) bool { return !c.Holds && !isAboutTheCaller(c) }) {
					return true
				}
				if s.Effect == policy.Deny && s.Applies && slices.ContainsFunc(s.Checks, func(c policy.Check) bool {
					return isAboutTheCaller(c) && c.Key != ""
				}) {
					return true
				}
			}
		}
	}
	return false
}

// spellings are other forms of a path that some target takes for the same: percent-escapes decoded, slashes and dots
// resolved, letters in lower case.
func spellings(sent string) (forms []string) {
	add := func(form string) {
		if form != "" && form != sent && !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	form := sent
	for range 2 { // an escape may be one of an escape
		add(path.Clean("/" + form))
		decoded, err := url.PathUnescape(form)
		if err != nil {
			break
		}
		form = decoded
		add(form)
	}
	add(path.Clean("/" + strings.ReplaceAll(form, `\`, "/")))
	add(strings.ToLower(path.Clean("/" + form)))
	return forms
}

// misses tells of statements that would deny another spelling of the path, and do not deny this one.
func (w *walk) misses(x access.Explanation) (lines []string) {
	if w.passesThrough() || len(x.Levels) == 0 {
		return nil
	}
	for _, form := range spellings(string(w.request.Path)) {
		other, err := w.askAs(form, w.principal(x))
		if err != nil || len(other.Levels) != len(x.Levels) {
			return nil // the signer is not known
		}
		for i, level := range other.Levels {
			lines = append(lines, w.missesAt(x.Levels[i], level, form)...)
		}
		if len(lines) > 0 {
			break // one spelling makes the point
		}
	}
	return lines
}

// missesAt compares what a level found with what it would find of another spelling.
func (w *walk) missesAt(found, would policy.LevelExplanation, form string) (lines []string) {
	for i, e := range would.Policies {
		for j, s := range e.Statements {
			if s.Effect == policy.Deny && s.Applies && i < len(found.Policies) && !found.Policies[i].Statements[j].Applies {
				lines = append(lines, fmt.Sprintf("%s does not deny %s as it was sent, but it would deny %s, for which some "+
					"servers take it",
					statementName(e.Policy, j, s), w.request.Path, form))
			}
		}
	}
	return lines
}
