package api

import (
	shapes "pergola/aws/acm"
	"pergola/control/acm"
)

var acmStyle = jsonStyle{prefix: shapes.TargetPrefix, invalid: "ValidationException", internal: "InternalFailure"}

// acmOperations is the table of Certificate Manager, version 2015-12-08.
func acmOperations(c *acm.Control) []operation {
	return []operation{
		action("ImportCertificate", c.ImportCertificate),
		action("RequestCertificate", c.RequestCertificate),
		action("DescribeCertificate", c.DescribeCertificate),
		action("GetCertificate", c.GetCertificate),
		action("ListCertificates", c.ListCertificates),
		action("DeleteCertificate", c.DeleteCertificate),
		action("UpdateCertificateOptions", c.UpdateCertificateOptions),

		action("AddTagsToCertificate", c.AddTagsToCertificate),
		action("RemoveTagsFromCertificate", c.RemoveTagsFromCertificate),
		action("ListTagsForCertificate", c.ListTagsForCertificate),
	}
}
