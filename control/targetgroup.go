package control

import (
	"pergola/lattice"
	"pergola/store"
)

// ipv4 is the address family that target groups have by default.
const ipv4 = "IPV4"

// completeConfig checks the configuration of a target group and fills in its defaults (user guide, Target groups).
func completeConfig(kind lattice.TargetGroupType, given *lattice.TargetGroupConfig) (*lattice.TargetGroupConfig, error) {
	var config lattice.TargetGroupConfig
	if given != nil {
		config = *given
	}
	if kind == lattice.TargetLambda {
		return completeLambda(config)
	}
	if err := completeAddressing(kind, &config); err != nil {
		return nil, err
	}
	if kind == lattice.TargetALB {
		if config.HealthCheck != nil {
			return nil, lattice.Invalid("config.healthCheck", "is not supported by target groups of type ALB; the load balancer checks its own targets")
		}
		return &config, nil
	}
	var err error
	config.HealthCheck, err = completeHealthCheck("config.healthCheck", &config)
	return &config, err
}

// completeLambda is completeConfig for functions, which have no address.
func completeLambda(config lattice.TargetGroupConfig) (*lattice.TargetGroupConfig, error) {
	refused := map[string]bool{
		"config.port": config.Port != 0, "config.protocol": config.Protocol != "",
		"config.protocolVersion": config.ProtocolVersion != "", "config.ipAddressType": config.IPAddressType != "",
		"config.vpcIdentifier": config.VPCIdentifier != "", "config.healthCheck": config.HealthCheck != nil,
	}
	for field, given := range refused {
		if given {
			return nil, lattice.Invalid(field, "is not supported by target groups of type LAMBDA")
		}
	}
	if config.LambdaEventStructureVersion == "" {
		config.LambdaEventStructureVersion = "V1"
	}
	return &config, nil
}

// completeAddressing completes how targets are reached.
func completeAddressing(kind lattice.TargetGroupType, config *lattice.TargetGroupConfig) error {
	switch {
	case config.LambdaEventStructureVersion != "":
		return lattice.Invalid("config.lambdaEventStructureVersion", "is only supported by target groups of type LAMBDA")
	case config.VPCIdentifier == "":
		return lattice.Invalid("config.vpcIdentifier", "is required for target groups of type %s", kind)
	case config.IPAddressType != "" && kind != lattice.TargetIP:
		return lattice.Invalid("config.ipAddressType", "is only supported by target groups of type IP")
	case kind != lattice.TargetALB && config.IPAddressType == "":
		config.IPAddressType = ipv4 // of instances too, which have no other addresses
	}
	if config.Protocol == "" {
		config.Protocol = lattice.TargetHTTPS
	}
	if err := completePort(config); err != nil {
		return err
	}
	return completeVersion(kind, config)
}

func completePort(config *lattice.TargetGroupConfig) error {
	switch {
	case config.Port != 0:
	case config.Protocol == lattice.TargetHTTP:
		config.Port = 80
	case config.Protocol == lattice.TargetHTTPS:
		config.Port = 443
	default:
		return lattice.Invalid("config.port", "is required for the protocol %s", config.Protocol)
	}
	return nil
}

// completeVersion completes the version of HTTP, which TCP does not have (user guide, Protocol version). HTTP2 is
// accepted for load balancers, since their chapter has the version chosen by what the load balancer supports.
func completeVersion(kind lattice.TargetGroupType, config *lattice.TargetGroupConfig) error {
	isTCP := config.Protocol == lattice.TargetTCP
	switch {
	case isTCP && kind == lattice.TargetALB:
		return lattice.Invalid("config.protocol", "TCP is only supported by target groups of type INSTANCE and IP")
	case isTCP && config.ProtocolVersion != "":
		return lattice.Invalid("config.protocolVersion", "is not supported by target groups with protocol TCP")
	case config.ProtocolVersion == lattice.GRPC && kind == lattice.TargetALB:
		return lattice.Invalid("config.protocolVersion", "GRPC is only supported by target groups of type INSTANCE and IP")
	case config.ProtocolVersion == "" && !isTCP:
		config.ProtocolVersion = lattice.HTTP1
	}
	return nil
}

// CreateTargetGroup makes a target group without targets. Its name must be free in the account, and its VPC must
// exist.
func (op *call) CreateTargetGroup(in *lattice.CreateTargetGroupRequest) (*lattice.CreateTargetGroupResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	config, err := completeConfig(in.Type, in.Config)
	if err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:VpcId", config.VPCIdentifier)
	return respond(lattice.NewCreateTargetGroupResponse)(targetGroups.create(op, order{request: in, token: in.ClientToken,
		tags: in.Tags}, func() (*lattice.TargetGroup, error) {
		return op.newTargetGroup(in, config)
	}))
}

func (op *call) newTargetGroup(in *lattice.CreateTargetGroupRequest, config *lattice.TargetGroupConfig) (*lattice.TargetGroup, error) {
	if config.VPCIdentifier != "" {
		if _, err := op.findVPC(config.VPCIdentifier); err != nil {
			return nil, err
		}
	}
	id, now := lattice.KindTargetGroup.NewID(op.Random), op.time()
	return &lattice.TargetGroup{
		ID: id, ARN: op.home(op.Account).ARN(lattice.KindTargetGroup, id), Name: in.Name, Type: in.Type,
		Config: config, Status: lattice.StatusCreateInProgress,
		CreatedAt: now, LastUpdatedAt: now, Tags: in.Tags, ClientToken: in.ClientToken,
	}, nil
}

// usersOf are the ARNs of the services that use a target group.
func (op *call) usersOf(group *lattice.TargetGroup) ([]string, error) {
	service, err := holderOf(op.Tx, groupServiceClaim(group.ID))
	if service == "" {
		return []string{}, err
	}
	arn := op.home(lattice.AccountOf(group.ARN)).ARN(lattice.KindService, service)
	return []string{arn}, nil
}

// GetTargetGroup describes a target group.
func (op *call) GetTargetGroup(in *lattice.GetTargetGroupRequest) (*lattice.GetTargetGroupResponse, error) {
	group, err := targetGroups.find(op, "", in.TargetGroupIdentifier)
	if err != nil {
		return nil, err
	}
	answer := lattice.NewGetTargetGroupResponse(group)
	answer.ServiceARNs, err = op.usersOf(group)
	return answer, err
}

// UpdateTargetGroup replaces the health check. There is no status for that.
func (op *call) UpdateTargetGroup(in *lattice.UpdateTargetGroupRequest) (*lattice.UpdateTargetGroupResponse, error) {
	group, err := targetGroups.settled(targetGroups.find(op, "", in.TargetGroupIdentifier))
	if err != nil {
		return nil, err
	}
	if group.Type == lattice.TargetLambda || group.Type == lattice.TargetALB {
		return nil, lattice.Invalid("healthCheck", "is not supported by target groups of type %s", group.Type)
	}
	config := *group.Config
	config.HealthCheck = &in.HealthCheck
	if group.Config.HealthCheck, err = completeHealthCheck("healthCheck", &config); err != nil {
		return nil, err
	}
	group.LastUpdatedAt = op.time()
	return lattice.NewUpdateTargetGroupResponse(group), targetGroups.put(op, group)
}

// DeleteTargetGroup begins the deletion of a target group that no action forwards to and that has no draining
// targets. Targets that are still registered go with it.
func (op *call) DeleteTargetGroup(in *lattice.DeleteTargetGroupRequest) (*lattice.DeleteTargetGroupResponse, error) {
	group, err := targetGroups.find(op, "", in.TargetGroupIdentifier)
	if err != nil {
		return nil, err
	}
	if group.Status == lattice.StatusDeleteInProgress {
		return lattice.NewDeleteTargetGroupResponse(group), nil
	}
	if err := op.checkUnused(group); err != nil {
		return nil, err
	}
	group.Status, group.LastUpdatedAt = lattice.StatusDeleteInProgress, op.time()
	return lattice.NewDeleteTargetGroupResponse(group), targetGroups.put(op, group)
}

// checkUnused refuses the deletion of a target group that something still depends on.
func (op *call) checkUnused(group *lattice.TargetGroup) error {
	if group.Status.InProgress() {
		return lattice.StatusConflict(lattice.KindTargetGroup, group.ID, group.Status)
	}
	service, err := holderOf(op.Tx, groupServiceClaim(group.ID))
	if err != nil {
		return err
	}
	if service != "" {
		return lattice.ConflictError(lattice.KindTargetGroup, group.ID, "Target group %s is used by service %s", group.ID, service)
	}
	registered, err := targetsOf(op.Tx, group.ID)
	for _, target := range registered {
		if target.DeregisteredAt != nil {
			return lattice.ConflictError(lattice.KindTargetGroup, group.ID, "Target group %s has draining targets", group.ID)
		}
	}
	return err
}

// dropTargetGroup removes a target group that no node knows any more, and its targets.
func dropTargetGroup(tx *store.Tx, group *lattice.TargetGroup) error {
	targetGroups.Delete(tx, group)
	registered, err := targetsOf(tx, group.ID)
	if err != nil {
		return err
	}
	for _, target := range registered {
		releaseLoadBalancer(tx, group, target.ID)
	}
	return targets.DeletePrefix(tx, below(group.ID))
}

// ListTargetGroups lists the target groups of the account, or those of one type or VPC.
func (op *call) ListTargetGroups(
	in *lattice.ListTargetGroupsRequest) (*lattice.List[lattice.TargetGroupSummary], error) {
	keep := func(group *lattice.TargetGroup) bool {
		return (in.TargetGroupType == "" || group.Type == in.TargetGroupType) &&
			(in.VPCIdentifier == "" || group.Config.VPCIdentifier == in.VPCIdentifier)
	}
	summary := func(group *lattice.TargetGroup) (answer *lattice.TargetGroupSummary, err error) {
		answer = lattice.NewTargetGroupSummary(group, group.Config)
		answer.ServiceARNs, err = op.usersOf(group)
		return answer, err
	}
	scope := string(in.TargetGroupType) + " " + in.VPCIdentifier
	return paginate(op, in.Page, scope, scan(op, targetGroups, "", keep, summary))
}
