package ec2

// Reservation is an item of DescribeInstancesResponse.
type Reservation = RunInstancesResponse

// Code is the number of a state. EC2 gives each state one, in the low byte of a 16-bit number.
func (s InstanceState) Code() int {
	switch s {
	case InstancePending:
		return 0
	case InstanceRunning:
		return 16
	case InstanceShuttingDown:
		return 32
	}
	return 48
}

// Describe is the state as callers see it.
func (s InstanceState) Describe() InstanceStateDescription {
	return InstanceStateDescription{s.Code(), s}
}
