package api

import (
	shapes "pergola/aws/acm"
	"pergola/control/acm"
)

var acmStyle = jsonStyle{prefix: shapes.TargetPrefix, invalid: "ValidationException", internal: "InternalFailure"}

// acmOperations is the table of Certificate Manager.
func acmOperations(c *acm.Control) []operation { return acmTable(c) }
