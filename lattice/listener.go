package lattice

// Protocol is the protocol of a listener.
type Protocol string

const (
	ProtocolHTTP           Protocol = "HTTP"
	ProtocolHTTPS          Protocol = "HTTPS"
	ProtocolTLSPassthrough Protocol = "TLS_PASSTHROUGH"
)

// DefaultPort is the port of a listener that was created without one.
func (p Protocol) DefaultPort() int32 {
	if p == ProtocolHTTP {
		return 80
	}
	return 443
}

// Listener receives connections for a service on one port. Its default action, which is that of its default rule,
// answers the requests that no rule matches.
type Listener struct {
	ID            string     `json:"id"`
	ARN           string     `json:"arn"`
	ServiceID     string     `json:"serviceId"`
	ServiceARN    string     `json:"serviceArn"`
	Name          string     `json:"name"`
	Protocol      Protocol   `json:"protocol"`
	Port          int32      `json:"port"`
	DefaultAction RuleAction `json:"defaultAction"`
	// DefaultRuleID identifies the default rule, which has no record of its own.
	DefaultRuleID string `json:"defaultRuleId"`
	CreatedAt     Time   `json:"createdAt"`
	LastUpdatedAt Time   `json:"lastUpdatedAt"`
	Tags          Tags   `json:"tags,omitempty"`
	ClientToken   string `json:"clientToken,omitempty"`
}

// DefaultRuleName is the name of every default rule.
const DefaultRuleName = "default"

// DefaultRule is the rule that the listener's default action stands for. It is evaluated last, after rules of any
// priority; it cannot be updated or deleted but through the listener.
func (l *Listener) DefaultRule() Rule {
	return Rule{
		ID: l.DefaultRuleID, ARN: l.ARN + "/rule/" + l.DefaultRuleID,
		ServiceID: l.ServiceID, ListenerID: l.ID, Name: DefaultRuleName, IsDefault: true,
		Action: l.DefaultAction, CreatedAt: l.CreatedAt, LastUpdatedAt: l.LastUpdatedAt,
	}
}
