package lambda

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"pergola/aws/iam"
	"pergola/aws/lambda"
	"pergola/control/operation"
	"pergola/functions"
	"pergola/lattice"
	"pergola/policy"
	"pergola/store"
)

// runtimes are those that bring their own program.
var runtimes = []string{"provided", "provided.al2", "provided.al2023"}

// architectures by default: what the code is built for is for the function's owner to know.
const defaultArchitecture = "x86_64"

// CreateFunction makes a function from a zip file, whose code is kept once for all attempts.
func (c *Control) CreateFunction(ctx context.Context, caller iam.Caller, in *lambda.CreateFunctionRequest) (*lambda.Configuration, error) {
	request := operation.Request{Caller: caller, Action: "CreateFunction"}
	return c.bringing(ctx, request, &in.Code, func(op *call, keep keeper) (*lambda.Configuration, error) {
		return op.createFunction(in, keep)
	})
}

// keeper keeps the code of a request, once, and makes it that of a version.
type keeper func(*lambda.Version) error

// bringing carries out an operation whose request brings code, which is kept once for all attempts.
func (c *Control) bringing(ctx context.Context, r operation.Request, code *lambda.Code,
	do func(*call, keeper) (*lambda.Configuration, error)) (*lambda.Configuration, error) {
	c.changing.RLock()
	defer c.changing.RUnlock()
	keep := c.keep(code)
	return operation.Do(ctx, c.Service, r, func(op *call, _ *lambda.Code) (*lambda.Configuration, error) {
		return do(op, keep)
	}, code)
}

func (op *call) createFunction(in *lambda.CreateFunctionRequest, keep keeper) (*lambda.Configuration, error) {
	name, err := op.named(in.FunctionName, "")
	if err != nil {
		return nil, err
	}
	if name.Account != op.Account || name.Region != op.Region || name.Qualifier != "" {
		return nil, cmp.Or(op.Owns(name.ARN()), invalid("%s is not the name of a function of this account and region "+
			"without a qualifier", in.FunctionName))
	}
	if err := op.MayCreate(name.ARN(), in.Tags, "TagResource"); err != nil {
		return nil, err
	}
	switch _, err := op.find(op.Tx, name); {
	case err == nil:
		return nil, conflict("Function already exist: %s", name.Function)
	case !isNotFound(err):
		return nil, err
	}
	f := &lambda.Function{Account: name.Account, Name: name.Function, Tags: in.Tags, Latest: newVersion(in)}
	if err := checkConfiguration(&f.Latest, &in.Unserved); err != nil {
		return nil, err
	}
	if err := op.mayUse(in.Role); err != nil {
		return nil, err
	}
	if err := keep(&f.Latest); err != nil {
		return nil, err
	}
	answer, err := op.changed(f, name, in.Publish)
	return roomed(op, answer, err)
}

func newVersion(in *lambda.CreateFunctionRequest) lambda.Version {
	v := lambda.Version{
		Number: lambda.Latest, Runtime: in.Runtime, Role: in.Role, Handler: in.Handler, Description: in.Description,
		Timeout: lambda.DefaultTimeout, Memory: lambda.DefaultMemory, Ephemeral: lambda.DefaultEphemeral, Architecture: defaultArchitecture,
	}
	if in.PackageType == "Image" {
		v.Runtime = "an image"
	}
	for _, architecture := range in.Architectures {
		v.Architecture = architecture
	}
	settle(&v, &lambda.UpdateFunctionConfigurationRequest{
		Timeout: in.Timeout, MemorySize: in.MemorySize, Environment: in.Environment, EphemeralStorage: in.EphemeralStorage, LoggingConfig: in.LoggingConfig,
	})
	return v
}

// settle changes what a request has of a configuration.
func settle(v *lambda.Version, in *lambda.UpdateFunctionConfigurationRequest) {
	v.Runtime, v.Role, v.Handler = cmp.Or(in.Runtime, v.Runtime), cmp.Or(in.Role, v.Role), cmp.Or(in.Handler, v.Handler)
	if in.Description != nil {
		v.Description = *in.Description
	}
	if in.Timeout != nil {
		v.Timeout = *in.Timeout
	}
	if in.MemorySize != nil {
		v.Memory = *in.MemorySize
	}
	if in.EphemeralStorage != nil {
		v.Ephemeral = in.EphemeralStorage.Size
	}
	if in.LoggingConfig != nil {
		v.Logging = in.LoggingConfig
	}
	if in.Environment != nil {
		v.Environment = in.Environment.Variables
	}
}

// checkConfiguration checks a configuration that is new or changed.
func checkConfiguration(v *lambda.Version, asked *lambda.Unserved) error {
	if err := served(asked); err != nil {
		return err
	}
	if !slices.Contains(runtimes, v.Runtime) {
		return invalid("The runtime %q is not served here; there are %s, which run the program bootstrap of a zip file", v.Runtime, strings.Join(runtimes, ", "))
	}
	if v.Handler == "" {
		return invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	return checkVariables(v.Environment)
}

// served refuses what would need something that is not served here.
func served(asked *lambda.Unserved) error {
	refused := map[string]bool{
		"VpcConfig":              asked.VPCConfig != nil && len(asked.VPCConfig.SubnetIDs)+len(asked.VPCConfig.SecurityGroupIDs) > 0,
		"DeadLetterConfig":       asked.DeadLetterConfig != nil && asked.DeadLetterConfig.TargetARN != "",
		"KMSKeyArn":              asked.KMSKeyARN != "",
		"TracingConfig":          asked.TracingConfig != nil && asked.TracingConfig.Mode == "Active",
		"Layers":                 len(asked.Layers) > 0,
		"SnapStart":              asked.SnapStart != nil && asked.SnapStart.ApplyOn == "PublishedVersions",
		"CodeSigningConfigArn":   asked.CodeSigningConfigARN != "",
		"FileSystemConfigs":      len(asked.FileSystemConfigs) > 0,
		"ImageConfig":            asked.ImageConfig != nil,
		"CapacityProviderConfig": asked.CapacityProviderConfig != nil, "DurableConfig": asked.DurableConfig != nil,
		"TenancyConfig": asked.TenancyConfig != nil, "PublishTo": asked.PublishTo != "",
	}
	for _, member := range slices.Sorted(maps.Keys(refused)) {
		if refused[member] {
			return invalid("%s asks for what is not served here; leave it out", member)
		}
	}
	return nil
}

var variableName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`)

// reservedVariables are those that the service sets (Lambda developer guide, "Defined runtime environment variables").
var reservedVariables = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
	"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

func checkVariables(variables map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		switch {
		case slices.Contains(reservedVariables, name):
			return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", name)
		case !variableName.MatchString(name):
			return invalid("The variable %.100q must begin with a letter, and have two characters or more, which are letters, digits and underscores", name)
		case strings.ContainsRune(variables[name], 0):
			return invalid("The variable %s must not have a null character in it", name)
		}
	}
	if encoded, err := json.Marshal(variables); err != nil || len(encoded) > lambda.MaxEnvironment {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.")
	}
	return nil
}

// mayUse asks whether the caller may give functions a role, which must let Lambda have its sessions.
func (op *call) mayUse(arn string) error {
	role, err := roles.Get(op.Tx, iam.ID(op.Account, lattice.IDOf(arn)))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && role.ARN() == arn {
		op.Set("iam:PassedToService", "lambda.amazonaws.com")
		if err := op.MayAlso("iam:PassRole", arn, role.Tags); err != nil {
			return err
		}
		if trusts(&role) {
			return nil
		}
	}
	return invalid("The role defined for the function cannot be assumed by Lambda: %s must exist in this account, and its trust policy allow sts:AssumeRole to lambda.amazonaws.com", arn)
}

// trusts reports whether a role lets functions have its sessions.
func trusts(role *iam.Role) bool {
	document, err := policy.Parse([]byte(role.Trust), policy.Trust, 0)
	if err != nil {
		return false
	}
	request := &policy.Request{
		Principal: policy.Principal{Type: policy.Service, ARN: "lambda.amazonaws.com"}, Action: "sts:AssumeRole", Resource: role.ARN(),
	}
	return policy.Compile(document).Evaluate(request).Effect == policy.Allow
}

func (c *Control) keep(code *lambda.Code) keeper {
	keep := sync.OnceValues(func() (string, error) {
		switch {
		case code.S3Bucket != "" || code.S3Key != "" || code.ImageURI != "" || code.SourceKMSKeyARN != "":
			return "", invalid("Code from S3, encrypted code and images are not served here; give a zip file (aws lambda … --zip-file fileb://…)")
		case len(code.ZipFile) == 0:
			return "", invalid("Please provide a source for function code.")
		}
		name, err := c.codes.Put(code.ZipFile)
		if errors.Is(err, functions.ErrZip) {
			return "", invalid("Could not unzip uploaded file. Please check your file, then try to upload again: %v", err)
		}
		return name, err
	})
	return func(v *lambda.Version) (err error) {
		v.CodeSHA256, err = keep()
		v.CodeSize = int64(len(code.ZipFile))
		return err
	}
}

// changed writes a function whose latest version was changed, and publishes that if it was asked to.
func (op *call) changed(f *lambda.Function, name lambda.Name, publish bool) (*lambda.Configuration, error) {
	f.Latest.Modified, f.Latest.Revision = op.time(), op.revision()
	if publish {
		v, err := op.publish(f, nil)
		if err != nil {
			return nil, err
		}
		name.Qualifier = v.Number
		return describe(f, v, name), op.put(f)
	}
	return describe(f, &f.Latest, name), op.put(f)
}

// describe describes a version. The ARN has a qualifier if the caller gave one.
func describe(f *lambda.Function, v *lambda.Version, name lambda.Name) *lambda.Configuration {
	sum, _ := hex.DecodeString(v.CodeSHA256) // the store has what Codes made
	d := &lambda.Configuration{
		FunctionName: f.Name, FunctionARN: name.ARN(), Runtime: v.Runtime, Role: v.Role, Handler: v.Handler,
		CodeSize: v.CodeSize, Description: v.Description, Timeout: v.Timeout, MemorySize: v.Memory,
		LastModified: v.Modified.UTC().Format("2006-01-02T15:04:05.000+0000"),
		CodeSHA256:   base64.StdEncoding.EncodeToString(sum), Version: v.Number, RevisionID: v.Revision,
		State: "Active", LastUpdateStatus: "Successful", PackageType: "Zip", Architectures: []string{v.Architecture},
		TracingConfig: lambda.Tracing{Mode: "PassThrough"}, EphemeralStorage: lambda.EphemeralStorage{Size: v.Ephemeral},
		SnapStart:     lambda.SnapStart{ApplyOn: "None", OptimizationStatus: "Off"},
		LoggingConfig: lambda.LoggingConfig{LogFormat: "Text", LogGroup: "/aws/lambda/" + f.Name},
	}
	if given := v.Logging; given != nil {
		d.LoggingConfig = *given
		d.LoggingConfig.LogFormat = cmp.Or(given.LogFormat, "Text")
		d.LoggingConfig.LogGroup = cmp.Or(given.LogGroup, "/aws/lambda/"+f.Name)
	}
	if len(v.Environment) > 0 {
		d.Environment = &lambda.Environment{Variables: v.Environment}
	}
	return d
}

// GetFunction describes a version of a function, with its tags.
func (op *call) GetFunction(in *lambda.GetFunctionRequest) (*lambda.GetFunctionResponse, error) {
	f, v, name, err := op.version(&in.Reference)
	if err != nil {
		return nil, err
	}
	answer := &lambda.GetFunctionResponse{
		Configuration: *describe(f, v, name), Code: lambda.CodeLocation{RepositoryType: "S3"}, Tags: f.Tags,
	}
	if f.Concurrency != nil {
		answer.Concurrency = &lambda.Concurrency{Reserved: f.Concurrency}
	}
	return answer, nil
}

// GetFunctionConfiguration describes a version of a function.
func (op *call) GetFunctionConfiguration(in *lambda.GetFunctionConfigurationRequest) (*lambda.Configuration, error) {
	f, v, name, err := op.version(&in.Reference)
	if err != nil {
		return nil, err
	}
	return describe(f, v, name), nil
}

// UpdateFunctionCode gives a function other code. A dry run changes nothing.
func (c *Control) UpdateFunctionCode(ctx context.Context, caller iam.Caller, in *lambda.UpdateFunctionCodeRequest) (*lambda.Configuration, error) {
	request := operation.Request{Caller: caller, Action: "UpdateFunctionCode"}
	answer, err := c.bringing(ctx, request, &in.Code, func(op *call, keep keeper) (*lambda.Configuration, error) {
		return op.updateCode(in, keep)
	})
	if err == nil {
		c.collect(ctx) // the code that there was, or that of a dry run
	}
	return answer, err
}

func (op *call) updateCode(in *lambda.UpdateFunctionCodeRequest, keep keeper) (*lambda.Configuration, error) {
	f, name, err := op.current(in.FunctionName, in.RevisionID)
	if err != nil {
		return nil, err
	}
	if err := keep(&f.Latest); err != nil {
		return nil, err
	}
	for _, architecture := range in.Architectures {
		f.Latest.Architecture = architecture
	}
	if in.DryRun {
		return describe(f, &f.Latest, name), nil
	}
	answer, err := op.changed(f, name, in.Publish)
	return roomed(op, answer, err)
}

// UpdateFunctionConfiguration changes what the request has of a configuration.
func (op *call) UpdateFunctionConfiguration(
	in *lambda.UpdateFunctionConfigurationRequest) (*lambda.Configuration, error) {
	f, name, err := op.current(in.FunctionName, in.RevisionID)
	if err != nil {
		return nil, err
	}
	settle(&f.Latest, in)
	if err := checkConfiguration(&f.Latest, &in.Unserved); err != nil {
		return nil, err
	}
	if in.Role != "" {
		if err := op.mayUse(in.Role); err != nil {
			return nil, err
		}
	}
	return op.changed(f, name, false)
}

// DeleteFunction deletes a function with all that belongs to it, or one version that no alias names.
func (c *Control) DeleteFunction(ctx context.Context, caller iam.Caller, in *lambda.DeleteFunctionRequest) (*lattice.Empty, error) {
	gone, err := operation.Do(ctx, c.Service, operation.Request{Caller: caller, Action: "DeleteFunction"},
		(*call).deleteFunction, in)
	if err != nil {
		return nil, err
	}
	c.collect(ctx)
	c.runner.Forget(gone.ARN()) // what has been unpacked goes with the environments, once its zip file is gone
	return &lattice.Empty{}, nil
}

// deleteFunction returns the name of the function.
func (op *call) deleteFunction(in *lambda.DeleteFunctionRequest) (*lambda.Name, error) {
	f, name, err := op.about(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	gone := name.Unqualified()
	if name.Qualifier != "" {
		return &gone, op.deleteVersion(f, name)
	}
	functionObjects.Delete(op.Tx, lambda.ID(f.Account, f.Name))
	below := lambda.ID(f.Account, f.Name, "")
	return &gone, errors.Join(versionObjects.DeletePrefix(op.Tx, below), aliasObjects.DeletePrefix(op.Tx, below))
}

// ListFunctions lists the functions of the caller's account, or all versions of all of them.
func (op *call) ListFunctions(in *lambda.ListFunctionsRequest) (*lambda.ListFunctionsResponse, error) {
	functions, err := op.listFunctions(op.Tx, op.Account)
	if err != nil {
		return nil, err
	}
	var all []lambda.Configuration
	for i := range functions {
		f := &functions[i]
		name := lambda.Name{Region: op.Region, Account: f.Account, Function: f.Name}
		if in.FunctionVersion == "" {
			all = append(all, *describe(f, &f.Latest, name))
			continue
		}
		versions, err := op.describeVersions(f, name)
		if err != nil {
			return nil, err
		}
		all = append(all, versions...)
	}
	answer := &lambda.ListFunctionsResponse{}
	answer.Functions, answer.NextMarker = page(all, in.Page, func(d lambda.Configuration) string {
		return d.FunctionName + "/" + order(d.Version)
	})
	return answer, nil
}

// collect removes the code to which nothing refers any more. What fails is tried again the next time.
func (c *Control) collect(ctx context.Context) {
	if err := c.Collect(context.WithoutCancel(ctx)); err != nil {
		c.Logger.Warn("code that nothing needs could not be removed", "error", err)
	}
}

// Collect removes the code to which nothing refers. The operations do so themselves; call it once at the start.
func (c *Control) Collect(ctx context.Context) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	wanted := map[string]bool{}
	err := c.Store.View(ctx, func(tx *store.Tx) error {
		versions, err := allVersions(tx, "")
		for _, v := range versions {
			wanted[v.CodeSHA256] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.codes.Keep(wanted)
}
