package api

import "pergola/control/lambda"

// lambdaOperations is the table of Lambda, version 2015-03-31. Newer operations have the date of their own version in
// their path. Deletions answer without a body, whatever the published model says of them.
func lambdaOperations(c *lambda.Control) []operation {
	return []operation{
		// Older clients end the path of these two with a slash.
		rest("CreateFunction", "POST", "/2015-03-31/functions/", 201, c.CreateFunction),
		rest("ListFunctions", "GET", "/2015-03-31/functions/", 200, c.ListFunctions),
		rest("CreateFunction", "POST", "/2015-03-31/functions", 201, c.CreateFunction),
		rest("ListFunctions", "GET", "/2015-03-31/functions", 200, c.ListFunctions),
		rest("GetFunction", "GET", "/2015-03-31/functions/{FunctionName}", 200, c.GetFunction),
		rest("DeleteFunction", "DELETE", "/2015-03-31/functions/{FunctionName}", 204, c.DeleteFunction),
		rest("GetFunctionConfiguration", "GET", "/2015-03-31/functions/{FunctionName}/configuration", 200, c.GetFunctionConfiguration),
		rest("UpdateFunctionConfiguration", "PUT", "/2015-03-31/functions/{FunctionName}/configuration", 200, c.UpdateFunctionConfiguration),
		rest("UpdateFunctionCode", "PUT", "/2015-03-31/functions/{FunctionName}/code", 200, c.UpdateFunctionCode),
		rest("Invoke", "POST", "/2015-03-31/functions/{FunctionName}/invocations", 200, c.Invoke),

		rest("PublishVersion", "POST", "/2015-03-31/functions/{FunctionName}/versions", 201, c.PublishVersion),
		rest("ListVersionsByFunction", "GET", "/2015-03-31/functions/{FunctionName}/versions", 200, c.ListVersionsByFunction),

		rest("CreateAlias", "POST", "/2015-03-31/functions/{FunctionName}/aliases", 201, c.CreateAlias),
		rest("ListAliases", "GET", "/2015-03-31/functions/{FunctionName}/aliases", 200, c.ListAliases),
		rest("GetAlias", "GET", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", 200, c.GetAlias),
		rest("UpdateAlias", "PUT", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", 200, c.UpdateAlias),
		rest("DeleteAlias", "DELETE", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", 204, c.DeleteAlias),

		rest("AddPermission", "POST", "/2015-03-31/functions/{FunctionName}/policy", 201, c.AddPermission),
		rest("GetPolicy", "GET", "/2015-03-31/functions/{FunctionName}/policy", 200, c.GetPolicy),
		rest("RemovePermission", "DELETE", "/2015-03-31/functions/{FunctionName}/policy/{StatementId}", 204, c.RemovePermission),

		rest("PutFunctionConcurrency", "PUT", "/2017-10-31/functions/{FunctionName}/concurrency", 200, c.PutFunctionConcurrency),
		rest("DeleteFunctionConcurrency", "DELETE", "/2017-10-31/functions/{FunctionName}/concurrency", 204, c.DeleteFunctionConcurrency),
		rest("GetFunctionConcurrency", "GET", "/2019-09-30/functions/{FunctionName}/concurrency", 200, c.GetFunctionConcurrency),
		rest("GetFunctionCodeSigningConfig", "GET", "/2020-06-30/functions/{FunctionName}/code-signing-config", 200, c.GetFunctionCodeSigningConfig),

		rest("ListTags", "GET", "/2017-03-31/tags/{Resource}", 200, c.ListTags),
		rest("TagResource", "POST", "/2017-03-31/tags/{Resource}", 204, c.TagResource),
		rest("UntagResource", "DELETE", "/2017-03-31/tags/{Resource}", 204, c.UntagResource),
	}
}
