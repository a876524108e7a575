package api

import (
	shapes "pergola/aws/route53"
	"pergola/control/route53"
)

// route53Operations is the table of Route 53. Some clients leave out the slash that ends a path of the model.
func route53Operations(c *route53.Control) []operation {
	return append([]operation{
		rest("ChangeResourceRecordSets", "POST", "/2013-04-01/hostedzone/{Id}/rrset", 200, c.ChangeResourceRecordSets),
	}, route53Table(c)...)
}

// newRoute53 is the protocol of Route 53.
func newRoute53(c *route53.Control, s strangers) restXML {
	return restXML{newRoutes(route53Operations(c)), s, shapes.Namespace, "InvalidInput", plainFailure}
}
