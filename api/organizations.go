package api

import (
	shapes "pergola/aws/organizations"
	"pergola/control/organizations"
)

var organizationsStyle = jsonStyle{prefix: shapes.TargetPrefix, invalid: "InvalidInputException", internal: "ServiceException"}

// organizationsOperations is the table of Organizations.
func organizationsOperations(c *organizations.Control) []operation { return organizationsTable(c) }
