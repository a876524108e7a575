package api

import "pergola/control/ec2"

// ec2Operations is the table of EC2.
func ec2Operations(c *ec2.Control) []operation {
	return with(settles, ec2Table(c), "RunInstances", "TerminateInstances")
}
