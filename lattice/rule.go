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

// RuleMatch is the condition of a rule.
type RuleMatch struct {
	HTTPMatch *HTTPMatch `json:"httpMatch,omitempty"`
}

// HTTPMatch matches a request when all of its conditions hold.
type HTTPMatch struct {
	// Method must equal the request's, letter for letter. Empty matches every method.
	Method        string        `json:"method,omitempty" check:"len=0..16"`
	PathMatch     *PathMatch    `json:"pathMatch,omitempty"`
	HeaderMatches []HeaderMatch `json:"headerMatches,omitempty" check:"len=1..5"`
}

// PathMatch matches the request's path, without its query. Letters match regardless of case unless CaseSensitive.
type PathMatch struct {
	Match         PathMatchType `json:"match" check:"required,union"`
	CaseSensitive *bool         `json:"caseSensitive,omitempty"`
}

// PathMatchType is the whole path or a prefix of it.
type PathMatchType struct {
	Exact  *string `json:"exact,omitempty" check:"len=1..200,pattern=path"`
	Prefix *string `json:"prefix,omitempty" check:"len=1..200,pattern=path"`
}

// HeaderMatch matches a header field of the request. Letters of the value match regardless of case unless
// CaseSensitive; those of the name always do.
type HeaderMatch struct {
	Name          string          `json:"name" check:"required,len=1..100"`
	Match         HeaderMatchType `json:"match" check:"required,union"`
	CaseSensitive *bool           `json:"caseSensitive,omitempty"`
}

// HeaderMatchType is the whole value, a prefix of it, or a part of it.
type HeaderMatchType struct {
	Exact    *string `json:"exact,omitempty" check:"len=1..200"`
	Prefix   *string `json:"prefix,omitempty" check:"len=1..200"`
	Contains *string `json:"contains,omitempty" check:"len=1..200"`
}

// RuleAction forwards a request or answers it on the spot.
type RuleAction struct {
	Forward       *ForwardAction       `json:"forward,omitempty"`
	FixedResponse *FixedResponseAction `json:"fixedResponse,omitempty"`
}

// ForwardAction sends requests to target groups in proportion to their weights.
type ForwardAction struct {
	TargetGroups []WeightedTargetGroup `json:"targetGroups" check:"required,len=1..10"`
}

// WeightedTargetGroup is a target group's share of a forward action.
type WeightedTargetGroup struct {
	// TargetGroupIdentifier is kept in the form in which the caller gave it, id or ARN.
	TargetGroupIdentifier string `json:"targetGroupIdentifier" check:"required,len=17..2048,id=targetgroup"`
	// Weight is 0 to 999. It may be absent only where the action has a single target group.
	Weight *int32 `json:"weight,omitempty" check:"range=0..999"`
}

// FixedResponseAction answers with a status and an empty body. Only 404 and 500 are supported.
type FixedResponseAction struct {
	StatusCode int32 `json:"statusCode" check:"required,range=100..599"`
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

type CreateRuleRequest struct {
	ServiceIdentifier  string     `uri:"serviceIdentifier" check:"required,len=17..2048,id=service"`
	ListenerIdentifier string     `uri:"listenerIdentifier" check:"required,len=20..2048,id=listener"`
	Name               string     `json:"name" check:"required,len=3..63,name=rule-"`
	Match              RuleMatch  `json:"match" check:"required,union"`
	Priority           int32      `json:"priority" check:"required,range=1..2000"`
	Action             RuleAction `json:"action" check:"required,union"`
	ClientToken        string     `json:"clientToken" check:"len=1..64,pattern=visible"`
	Tags               Tags       `json:"tags" check:"len=0..200,pattern=tags"`
}

type CreateRuleResponse struct {
	ARN      string     `json:"arn,omitempty"`
	ID       string     `json:"id,omitempty"`
	Name     string     `json:"name,omitempty"`
	Match    *RuleMatch `json:"match,omitempty"`
	Priority int32      `json:"priority,omitempty"`
	Action   RuleAction `json:"action,omitzero"`
}

type GetRuleRequest struct {
	ServiceIdentifier  string `uri:"serviceIdentifier" check:"required,len=17..2048,id=service"`
	ListenerIdentifier string `uri:"listenerIdentifier" check:"required,len=20..2048,id=listener"`
	RuleIdentifier     string `uri:"ruleIdentifier" check:"required,len=20..2048,id=rule"`
}

type GetRuleResponse struct {
	ARN           string     `json:"arn,omitempty"`
	ID            string     `json:"id,omitempty"`
	Name          string     `json:"name,omitempty"`
	IsDefault     bool       `json:"isDefault"`
	Match         *RuleMatch `json:"match,omitempty"`
	Priority      int32      `json:"priority,omitempty"`
	Action        RuleAction `json:"action,omitzero"`
	CreatedAt     Time       `json:"createdAt,omitzero"`
	LastUpdatedAt Time       `json:"lastUpdatedAt,omitzero"`
}

// UpdateRuleRequest changes those of its members that are present.
type UpdateRuleRequest struct {
	ServiceIdentifier  string      `uri:"serviceIdentifier" check:"required,len=17..2048,id=service"`
	ListenerIdentifier string      `uri:"listenerIdentifier" check:"required,len=20..2048,id=listener"`
	RuleIdentifier     string      `uri:"ruleIdentifier" check:"required,len=20..2048,id=rule"`
	Match              *RuleMatch  `json:"match" check:"union"`
	Priority           int32       `json:"priority" check:"range=1..2000"`
	Action             *RuleAction `json:"action" check:"union"`
}

type UpdateRuleResponse struct {
	ARN       string     `json:"arn,omitempty"`
	ID        string     `json:"id,omitempty"`
	Name      string     `json:"name,omitempty"`
	IsDefault bool       `json:"isDefault"`
	Match     *RuleMatch `json:"match,omitempty"`
	Priority  int32      `json:"priority,omitempty"`
	Action    RuleAction `json:"action,omitzero"`
}

type BatchUpdateRuleRequest struct {
	ServiceIdentifier  string       `uri:"serviceIdentifier" check:"required,len=17..2048,id=service"`
	ListenerIdentifier string       `uri:"listenerIdentifier" check:"required,len=20..2048,id=listener"`
	Rules              []RuleUpdate `json:"rules" check:"required,len=1..10"`
}

// RuleUpdate is one change of a batch. It changes those of its members that are present.
type RuleUpdate struct {
	RuleIdentifier string      `json:"ruleIdentifier" check:"required,len=20..2048,id=rule"`
	Match          *RuleMatch  `json:"match,omitempty" check:"union"`
	Priority       int32       `json:"priority,omitempty" check:"range=1..2000"`
	Action         *RuleAction `json:"action,omitempty" check:"union"`
}

type BatchUpdateRuleResponse struct {
	Successful   []UpdateRuleResponse `json:"successful"`
	Unsuccessful []RuleUpdateFailure  `json:"unsuccessful"`
}

// RuleUpdateFailure says why one change of a batch was not made.
type RuleUpdateFailure struct {
	RuleIdentifier string `json:"ruleIdentifier,omitempty"`
	FailureCode    string `json:"failureCode,omitempty"`
	FailureMessage string `json:"failureMessage,omitempty"`
}

type DeleteRuleRequest struct {
	ServiceIdentifier  string `uri:"serviceIdentifier" check:"required,len=17..2048,id=service"`
	ListenerIdentifier string `uri:"listenerIdentifier" check:"required,len=20..2048,id=listener"`
	RuleIdentifier     string `uri:"ruleIdentifier" check:"required,len=20..2048,id=rule"`
}

type ListRulesRequest struct {
	ServiceIdentifier  string `uri:"serviceIdentifier" check:"required,len=17..2048,id=service"`
	ListenerIdentifier string `uri:"listenerIdentifier" check:"required,len=20..2048,id=listener"`
	Page
}

type RuleSummary struct {
	ARN           string `json:"arn,omitempty"`
	ID            string `json:"id,omitempty"`
	Name          string `json:"name,omitempty"`
	IsDefault     bool   `json:"isDefault"`
	Priority      int32  `json:"priority,omitempty"`
	CreatedAt     Time   `json:"createdAt,omitzero"`
	LastUpdatedAt Time   `json:"lastUpdatedAt,omitzero"`
}
