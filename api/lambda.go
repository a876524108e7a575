package api

import "pergola/control/lambda"

// lambdaOperations is the table of Lambda. Newer operations have the date of their own version in their path. Deletions
// answer without a body, against the published model.
func lambdaOperations(c *lambda.Control) []operation {
	return append([]operation{
		// Older clients end the path of these two with a slash, where others would seem to name a function.
		rest("CreateFunction", "POST", "/2015-03-31/functions/", 201, c.CreateFunction),
		rest("ListFunctions", "GET", "/2015-03-31/functions/", 200, c.ListFunctions),
	}, lambdaTable(c)...)
}
