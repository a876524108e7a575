package lattice

default allow := false

allow if {
	network
	service
	identity
}

network if input.organization == "o-123456example"

service if {
	input.role == "arn:aws:iam::123456789012:role/checkout"
	input.action == "vpc-lattice-svcs:Invoke"
	input.service == "svc-0123456789abcdef0"
	input.method in {"GET", "HEAD"}
}

identity if {
	input.role == "arn:aws:iam::123456789012:role/checkout"
	input.action == "vpc-lattice-svcs:Invoke"
	input.service == "svc-0123456789abcdef0"
	startswith(input.path, "/v1/")
}
