package control

import (
	"cmp"

	"pergola/lattice"
)

// completeHealthCheck checks the health check of a target group's configuration and fills in its defaults (user
// guide, Health check settings). Health is checked by default only where the targets speak HTTP/1.1. What a health
// check speaks to TCP and gRPC targets has no default and must be said when it is enabled. TCP targets have no health
// check, and no defaults of one, until it is asked for.
func completeHealthCheck(field string, config *lattice.TargetGroupConfig) (*lattice.HealthCheckConfig, error) {
	var check lattice.HealthCheckConfig
	if config.Protocol == lattice.TargetTCP && switchedOff(config.HealthCheck) {
		return config.HealthCheck, nil
	}
	if config.HealthCheck != nil {
		check = *config.HealthCheck
	}
	if check.Enabled == nil {
		check.Enabled = new(config.ProtocolVersion == lattice.HTTP1)
	}
	if err := completeCheckProtocol(field, config, &check); err != nil {
		return nil, err
	}
	if err := completeCheckTimes(field, &check); err != nil {
		return nil, err
	}
	check.Path = cmp.Or(check.Path, lattice.DefaultHealthCheckPath)
	codes := lattice.DefaultHealthCheckCodes
	if check.Matcher != nil && check.Matcher.HTTPCode != nil && *check.Matcher.HTTPCode != "" {
		codes = *check.Matcher.HTTPCode
	}
	if _, err := lattice.ParseCodes(codes); err != nil {
		return nil, lattice.Invalid(field+".matcher.httpCode", "%q is not a list of codes and ranges of codes from 200 to 499, such as 200,202-204", codes)
	}
	check.Matcher = &lattice.Matcher{HTTPCode: &codes}
	return &check, nil
}

// switchedOff reports whether a health check says nothing, or nothing but that there is none.
func switchedOff(check *lattice.HealthCheckConfig) bool {
	if check == nil {
		return true
	}
	rest := *check
	rest.Enabled = nil
	return rest == (lattice.HealthCheckConfig{}) && (check.Enabled == nil || !*check.Enabled)
}

func completeCheckProtocol(field string, config *lattice.TargetGroupConfig, check *lattice.HealthCheckConfig) error {
	isTCP := config.Protocol == lattice.TargetTCP
	switch {
	case check.Protocol == lattice.TargetTCP:
		return lattice.Invalid(field+".protocol", "TCP is not supported; health checks speak HTTP or HTTPS")
	case *check.Enabled && isTCP && check.Protocol == "":
		return lattice.Invalid(field+".protocol", "is required to check the health of TCP targets")
	case *check.Enabled && (isTCP || config.ProtocolVersion == lattice.GRPC) && check.ProtocolVersion == "":
		return lattice.Invalid(field+".protocolVersion", "is required to check the health of TCP and gRPC targets")
	case isTCP:
		return nil
	}
	check.Protocol = cmp.Or(check.Protocol, lattice.TargetHTTP)
	if config.ProtocolVersion != lattice.GRPC {
		check.ProtocolVersion = cmp.Or(check.ProtocolVersion, config.ProtocolVersion)
	}
	return nil
}

// completeCheckTimes completes intervals and thresholds; 0 asks for the default.
func completeCheckTimes(field string, check *lattice.HealthCheckConfig) error {
	settings := []struct {
		name                   string
		value                  *int32
		least, most, otherwise int32
	}{
		{"healthCheckIntervalSeconds", &check.HealthCheckIntervalSeconds, 5, 300, lattice.DefaultHealthCheckIntervalSeconds},
		{"healthCheckTimeoutSeconds", &check.HealthCheckTimeoutSeconds, 1, 120, lattice.DefaultHealthCheckTimeoutSeconds},
		{"healthyThresholdCount", &check.HealthyThresholdCount, 2, 10, lattice.DefaultHealthyThresholdCount},
		{"unhealthyThresholdCount", &check.UnhealthyThresholdCount, 2, 10, lattice.DefaultUnhealthyThresholdCount},
	}
	for _, s := range settings {
		*s.value = cmp.Or(*s.value, s.otherwise)
		if *s.value < s.least || *s.value > s.most {
			return lattice.Invalid(field+"."+s.name, "%d is not from %d to %d; 0 asks for the default, %d", *s.value, s.least, s.most, s.otherwise)
		}
	}
	return nil
}
