package elbv2

// The attributes of load balancers that change what is done with a request, or with the load balancer.
const (
	// ForwardedFor is what becomes of X-Forwarded-For: append, preserve or remove.
	ForwardedFor = "routing.http.xff_header_processing.mode"
	// ForwardedClientPort is whether the client's port is part of what is appended there.
	ForwardedClientPort = "routing.http.xff_client_port.enabled"
	// IdleTimeout is how many seconds a target may take to answer.
	IdleTimeout = "idle_timeout.timeout_seconds"
	// DeletionProtection is whether the load balancer cannot be deleted.
	DeletionProtection = "deletion_protection.enabled"
)

// The ways to treat X-Forwarded-For.
const (
	ForwardedForAppend   = "append"
	ForwardedForPreserve = "preserve"
	ForwardedForRemove   = "remove"
)

// Stickiness is the attribute of target groups that binds clients to targets, which is not done here.
const Stickiness = "stickiness.enabled"

// AttributeSet is the attributes that one kind of resource has: their keys and defaults.
type AttributeSet map[string]string

// LoadBalancerAttributes are the attributes of an internal Application Load Balancer with their defaults (API reference,
// LoadBalancerAttribute). Those without a constant are kept and change nothing.
var LoadBalancerAttributes = AttributeSet{
	ForwardedFor:        ForwardedForAppend,
	ForwardedClientPort: "false",
	IdleTimeout:         "60",
	DeletionProtection:  "false",

	"access_logs.s3.enabled":                                   "false",
	"access_logs.s3.bucket":                                    "",
	"access_logs.s3.prefix":                                    "",
	"client_keep_alive.seconds":                                "3600",
	"connection_logs.s3.enabled":                               "false",
	"connection_logs.s3.bucket":                                "",
	"connection_logs.s3.prefix":                                "",
	"health_check_logs.s3.enabled":                             "false",
	"health_check_logs.s3.bucket":                              "",
	"health_check_logs.s3.prefix":                              "",
	"ipv6.deny_all_igw_traffic":                                "true",
	"load_balancing.cross_zone.enabled":                        "true",
	"routing.http.desync_mitigation_mode":                      "defensive",
	"routing.http.drop_invalid_header_fields.enabled":          "false",
	"routing.http.preserve_host_header.enabled":                "false",
	"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
	"routing.http2.enabled":                                    "true",
	"waf.fail_open.enabled":                                    "false",
	"zonal_shift.config.enabled":                               "false",
}

// TargetGroupAttributes are the same of target groups (API reference, TargetGroupAttribute).
var TargetGroupAttributes = AttributeSet{
	Stickiness: "false",

	"deregistration_delay.timeout_seconds":                                           "300",
	"load_balancing.algorithm.anomaly_mitigation":                                    "off",
	"load_balancing.algorithm.type":                                                  "round_robin",
	"load_balancing.cross_zone.enabled":                                              "use_load_balancer_configuration",
	"slow_start.duration_seconds":                                                    "0",
	"stickiness.type":                                                                "lb_cookie",
	"stickiness.app_cookie.cookie_name":                                              "",
	"stickiness.app_cookie.duration_seconds":                                         "86400",
	"stickiness.lb_cookie.duration_seconds":                                          "86400",
	"target_group_health.dns_failover.minimum_healthy_targets.count":                 "1",
	"target_group_health.dns_failover.minimum_healthy_targets.percentage":            "off",
	"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      "1",
	"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}

// ListenerAttributes are the same of listeners (API reference, ListenerAttribute).
var ListenerAttributes = AttributeSet{
	"routing.http.response.server.enabled": "true",
}
