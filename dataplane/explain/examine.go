package explain

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pergola/dataplane/access"
	"pergola/fabric/packetfilter"
	"pergola/lattice"
	"pergola/policy"
	"pergola/snapshot"
)

// Finding is something that stops requests or lets pass what nobody may have meant to, whether or not it has yet.
type Finding struct {
	// About is the id of a resource.
	About   string   `json:"about"`
	Problem string   `json:"problem"`
	Cures   []string `json:"cures"`
}

// renewal is how long before its end a certificate should have a successor.
const renewal = 30 * 24 * time.Hour

// Examine looks through all that requests would meet. It tells each finding once, in order of ids.
func (w World) Examine(now time.Time) []Finding {
	e := &examination{World: w, now: now, networks: map[string]*snapshot.Network{}, reached: map[string]bool{}}
	for vpc := range w.Snapshot.VPCs.Values() {
		e.vpc(vpc)
	}
	for _, n := range e.networks {
		e.guarded(n.ID, "service network", n.AuthType, n.Policy)
	}
	for s := range w.Snapshot.Services.Values() {
		e.service(s)
	}
	for g := range w.Snapshot.TargetGroups.Values() {
		if g.InUse {
			e.group(g)
		}
	}
	slices.SortFunc(e.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.About, b.About), cmp.Compare(a.Problem, b.Problem))
	})
	return e.findings
}

// examination is an Examine under way.
type examination struct {
	World
	now      time.Time
	networks map[string]*snapshot.Network // those that some VPC reaches
	reached  map[string]bool              // services that some VPC reaches
	findings []Finding
}

func (e *examination) find(about, problem string, cures ...string) {
	e.findings = append(e.findings, Finding{about, problem, cures})
}

func (e *examination) vpc(vpc *snapshot.VPC) {
	for _, door := range vpc.Doors {
		e.networks[door.Network.ID] = door.Network
		for s := range door.Network.Names.Values() {
			e.reached[s.ID] = true
		}
	}
	for _, door := range vpc.Filter.Doors {
		if len(door.Groups) == 0 {
			e.find(door.ID, "the association of "+vpc.ID+" has no security group, so everything in the VPC can connect",
				"aws vpc-lattice update-service-network-vpc-association --service-network-vpc-association-identifier "+door.ID+
					" --security-group-ids GROUP")
		}
	}
}

// guarded looks at the auth type and the auth policy of a service network or a service.
func (e *examination) guarded(id, what string, auth lattice.AuthType, attached *policy.Policy) {
	put := "aws vpc-lattice put-auth-policy --resource-identifier " + id + " --policy file://policy.json"
	switch {
	case auth != lattice.AuthIAM && attached != nil:
		e.find(id, "its auth policy does not count, since the "+what+"'s auth type is NONE",
			"aws vpc-lattice update-"+strings.ReplaceAll(what, " ", "-")+" --"+strings.ReplaceAll(what, " ", "-")+
				"-identifier "+id+" --auth-type AWS_IAM")
		return
	case auth != lattice.AuthIAM:
		return
	case attached == nil:
		e.find(id, "the "+what+" asks for IAM and has no auth policy, so every request is denied", put)
		return
	}
	survey := attached.Survey(access.Invoke, access.Connect)
	if !survey.Grants {
		e.find(id, "no statement of its auth policy allows "+access.Invoke+" to anybody, so every request is denied", put)
	}
	if survey.Everybody {
		e.find(id, "its auth policy lets everybody pass, also who has not signed: a statement has no condition", put)
	}
	for _, key := range survey.Keys {
		switch {
		case strings.EqualFold(key, "aws:SourceIp"):
			e.find(id, "its auth policy asks for "+key+", the client's address in its VPC, which other VPCs may have too",
				"to mean a VPC, ask for vpc-lattice-svcs:SourceVpc: "+put)
		case !access.HasKey(key):
			e.find(id, "its auth policy asks for "+key+", which no request to a service has", put)
		}
	}
}

func (e *examination) service(s *snapshot.Service) {
	if !e.reached[s.ID] {
		e.find(s.ID, "its names resolve nowhere: no VPC is associated with a service network of the service",
			"aws vpc-lattice create-service-network-service-association --service-network-identifier NETWORK "+
				"--service-identifier "+s.ID,
			"aws vpc-lattice create-service-network-vpc-association --service-network-identifier NETWORK --vpc-identifier VPC")
	}
	e.guarded(s.ID, "service", s.AuthType, s.Policy)
	e.certificate(s)
	for _, l := range s.Listeners {
		e.listener(s, l)
	}
}

// certificate looks at what clients of the custom domain name are shown.
func (e *examination) certificate(s *snapshot.Service) {
	const replace = "aws vpc-lattice update-service --certificate-arn ARN --service-identifier "
	secure := slices.ContainsFunc(s.Listeners,
		func(l *snapshot.Listener) bool { return l.Protocol == lattice.ProtocolHTTPS })
	switch {
	case !secure || s.CustomDomainName == "":
		return
	case s.Certificate == nil:
		e.find(s.ID, "it serves "+s.CustomDomainName+" by HTTPS and has no certificate for it", replace+s.ID)
		return
	}
	leaf, err := x509.ParseCertificate(s.Certificate.Chain[0])
	if err != nil {
		e.find(s.ID, "its certificate "+s.Certificate.ARN+" cannot be read: "+err.Error(), replace+s.ID)
		return
	}
	if err := leaf.VerifyHostname(s.CustomDomainName); err != nil {
		e.find(s.ID, "its certificate "+s.Certificate.ARN+" is not for "+s.CustomDomainName, replace+s.ID)
	}
	end := leaf.NotAfter.Format(time.DateOnly)
	switch left := leaf.NotAfter.Sub(e.now); {
	case left <= 0:
		e.find(s.ID, "its certificate "+s.Certificate.ARN+" has ended on "+end, replace+s.ID)
	case left < renewal:
		e.find(s.ID, "its certificate "+s.Certificate.ARN+" ends on "+end, replace+s.ID)
	}
}

func (e *examination) listener(s *snapshot.Service, l *snapshot.Listener) {
	of := " --service-identifier " + s.ID + " --listener-identifier " + l.ID
	for i := range l.Rules {
		rule := &l.Rules[i]
		update := "aws vpc-lattice update-rule --rule-identifier " + rule.ID + of + " --action …"
		if rule.Priority == 0 {
			update = "aws vpc-lattice update-listener" + of + " --default-action …"
		}
		if by := l.Shadow(i); by != nil {
			e.find(rule.ID, fmt.Sprintf("it never matches: %s, of priority %d, takes all of its requests", by.ID, by.Priority),
				"aws vpc-lattice update-rule --rule-identifier "+rule.ID+of+" --priority N, which is below "+
					fmt.Sprint(by.Priority))
		}
		switch forward := rule.Action.Forward; {
		case forward == nil:
		case len(forward) == 0:
			e.find(rule.ID, "it forwards to no target group that exists, so its requests are answered with 503", update)
		case rule.Action.TotalWeight == 0:
			e.find(rule.ID, "all of its target groups have the weight 0, so its requests are answered with 503", update)
		}
	}
}

// group looks at the targets of a target group that is in use.
func (e *examination) group(g *snapshot.TargetGroup) {
	targets, well := 0, 0
	blocked := map[string][]string{}
	for _, t := range g.Targets {
		if t.Draining || !t.Address.IsValid() && t.Function == "" {
			continue
		}
		targets++
		if e.Health[g.ID][t.Key].Status == lattice.TargetHealthy {
			well++
		}
		if problem, cures := e.blocked(g, t.Address); problem != "" {
			blocked[t.Key+": "+problem] = cures
		}
	}
	for _, problem := range slices.Sorted(maps.Keys(blocked)) {
		e.find(g.ID, "target "+problem, blocked[problem]...)
	}
	switch {
	case targets == 0:
		e.find(g.ID, "listeners forward to it and it has no target, so its requests are answered with 503",
			"aws vpc-lattice register-targets --target-group-identifier "+g.ID+" --targets id=…")
	case well == 0 && g.HealthCheck != nil && g.Type != lattice.TargetLambda:
		e.find(g.ID, fmt.Sprintf("none of its %d targets is healthy, so all of them get requests (it fails open)", targets),
			"aws vpc-lattice list-targets --target-group-identifier "+g.ID)
	}
}

// blocked tells why VPC Lattice cannot connect to a target or check its health, and what lets it; "" if packets pass.
func (w World) blocked(group *snapshot.TargetGroup, target netip.AddrPort) (problem string, cures []string) {
	vpc := w.Snapshot.VPCs.Get(group.VPC)
	if w.Judge == nil || vpc == nil || !target.IsValid() {
		return "", nil
	}
	way := func(what string, to netip.AddrPort) (string, []string) {
		steps := w.Judge(vpc.ID, source, to)
		if packetfilter.Passed(steps) {
			return "", nil
		}
		last := steps[len(steps)-1]
		return what + " " + w.dropped(vpc, last), curesOf(vpc, last, source, to)
	}
	if problem, cures = way("requests are", target); problem != "" {
		return problem, cures
	}
	if h := group.HealthCheck; h != nil && h.Port != 0 && h.Port != target.Port() {
		return way("health checks are", netip.AddrPortFrom(target.Addr(), h.Port))
	}
	return "", nil
}
