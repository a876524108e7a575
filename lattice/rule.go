package lattice

// Rule says what a listener does with the requests that match it. Rules are tried in order of priority, lowest first.
type Rule struct {
	ID            string     `json:"id"`
	ARN           string     `json:"arn"`
	ServiceID     string     `json:"serviceId"`
	ListenerID    string     `json:"listenerId"`
	Name          string     `json:"name"`
	IsDefault     bool       `json:"isDefault,omitempty"`
	Match         *RuleMatch `json:"match,omitempty"`
	Priority      int32      `json:"priority,omitempty"`
	Action        RuleAction `json:"action"`
	CreatedAt     Time       `json:"createdAt"`
	LastUpdatedAt Time       `json:"lastUpdatedAt"`
	Tags          Tags       `json:"tags,omitempty"`
	ClientToken   string     `json:"clientToken,omitempty"`
}

// TargetGroupIDs are the ids of the target groups that the action forwards to, in order.
func (a RuleAction) TargetGroupIDs() []string {
	if a.Forward == nil {
		return nil
	}
	ids := make([]string, len(a.Forward.TargetGroups))
	for i, group := range a.Forward.TargetGroups {
		ids[i] = IDOf(group.TargetGroupIdentifier)
	}
	return ids
}
