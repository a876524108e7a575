package lambda

import "encoding/base64"

type CreateFunctionRequest struct {
	FunctionName     string            `json:"FunctionName" check:"required,len=1..140,pattern=function"`
	Runtime          string            `json:"Runtime"`
	Role             string            `json:"Role" check:"required,pattern=rolearn"`
	Handler          string            `json:"Handler" check:"len=0..128,pattern=handler"`
	Code             Code              `json:"Code" check:"required"`
	Description      string            `json:"Description" check:"len=0..256"`
	Timeout          *int32            `json:"Timeout" check:"range=1..900"`
	MemorySize       *int32            `json:"MemorySize" check:"range=128..10240"`
	Publish          bool              `json:"Publish"`
	PackageType      string            `json:"PackageType" check:"enum=Zip|Image"`
	Environment      *Environment      `json:"Environment"`
	Tags             map[string]string `json:"Tags" check:"len=0..50,pattern=tags"`
	Architectures    []string          `json:"Architectures" check:"len=1..1,each=(enum=x86_64|arm64)"`
	EphemeralStorage *EphemeralStorage `json:"EphemeralStorage"`
	LoggingConfig    *LoggingConfig    `json:"LoggingConfig"`
	Unserved
}

// Unserved are the members that ask for what is not served here. Those that ask for nothing are accepted.
type Unserved struct {
	VPCConfig              *VPCConfig   `json:"VpcConfig"`
	DeadLetterConfig       *DeadLetter  `json:"DeadLetterConfig"`
	KMSKeyARN              string       `json:"KMSKeyArn"`
	TracingConfig          *Tracing     `json:"TracingConfig"`
	Layers                 []string     `json:"Layers"`
	SnapStart              *SnapStart   `json:"SnapStart"`
	CodeSigningConfigARN   string       `json:"CodeSigningConfigArn"`
	FileSystemConfigs      []FileSystem `json:"FileSystemConfigs"`
	ImageConfig            *ImageConfig `json:"ImageConfig"`
	CapacityProviderConfig *Anything    `json:"CapacityProviderConfig"`
	DurableConfig          *Anything    `json:"DurableConfig"`
	TenancyConfig          *Anything    `json:"TenancyConfig"`
	PublishTo              string       `json:"PublishTo"`
}

// Anything is a structure of which it only matters whether it is there.
type Anything struct{}

// VPCConfig is how a function is attached to a VPC.
type VPCConfig struct {
	SubnetIDs        []string `json:"SubnetIds"`
	SecurityGroupIDs []string `json:"SecurityGroupIds"`
}

// DeadLetter is where events go that could not be handled.
type DeadLetter struct {
	TargetARN string `json:"TargetArn"`
}

// Tracing says whether invocations are traced.
type Tracing struct {
	Mode string `json:"Mode" check:"enum=Active|PassThrough"`
}

// SnapStart says whether execution environments start from snapshots.
type SnapStart struct {
	ApplyOn            string `json:"ApplyOn" check:"enum=PublishedVersions|None"`
	OptimizationStatus string `json:"OptimizationStatus,omitempty"`
}

// LoggingConfig is where a function's output goes. It is accepted and described, and goes to the deployment's log.
type LoggingConfig struct {
	LogFormat           string `json:"LogFormat" check:"enum=JSON|Text"`
	ApplicationLogLevel string `json:"ApplicationLogLevel,omitempty" check:"enum=TRACE|DEBUG|INFO|WARN|ERROR|FATAL"`
	SystemLogLevel      string `json:"SystemLogLevel,omitempty" check:"enum=DEBUG|INFO|WARN"`
	LogGroup            string `json:"LogGroup,omitempty" check:"len=1..512,pattern=loggroup"`
}

// FileSystem is a file system that a function mounts.
type FileSystem struct {
	ARN  string `json:"Arn"`
	Path string `json:"LocalMountPath"`
}

// ImageConfig changes how a container image starts.
type ImageConfig struct {
	EntryPoint       []string `json:"EntryPoint"`
	Command          []string `json:"Command"`
	WorkingDirectory string   `json:"WorkingDirectory"`
}

// Code is where a function's code is: only a zip file within the request is served.
type Code struct {
	ZipFile         []byte `json:"ZipFile"`
	S3Bucket        string `json:"S3Bucket"`
	S3Key           string `json:"S3Key"`
	S3ObjectVersion string `json:"S3ObjectVersion"`
	ImageURI        string `json:"ImageUri"`
	SourceKMSKeyARN string `json:"SourceKMSKeyArn"`
}

// Environment are a function's variables.
type Environment struct {
	Variables map[string]string `json:"Variables"`
}

// EphemeralStorage is the size of the temporary directory, in MiB.
type EphemeralStorage struct {
	Size int32 `json:"Size" check:"required,range=512..10240"`
}

// Reference names a function, and a version or an alias of it either in the name or beside it.
type Reference struct {
	FunctionName string `uri:"FunctionName" check:"required,len=1..256,pattern=function"`
	Qualifier    string `query:"Qualifier" check:"len=1..128,pattern=qualifier"`
}

// Configuration is a version of a function as callers see it.
type Configuration struct {
	FunctionName     string           `json:"FunctionName"`
	FunctionARN      string           `json:"FunctionArn"`
	Runtime          string           `json:"Runtime"`
	Role             string           `json:"Role"`
	Handler          string           `json:"Handler"`
	CodeSize         int64            `json:"CodeSize"`
	Description      string           `json:"Description"`
	Timeout          int32            `json:"Timeout"`
	MemorySize       int32            `json:"MemorySize"`
	LastModified     string           `json:"LastModified"`
	CodeSHA256       string           `json:"CodeSha256"`
	Version          string           `json:"Version"`
	Environment      *Environment     `json:"Environment,omitempty"`
	TracingConfig    Tracing          `json:"TracingConfig"`
	RevisionID       string           `json:"RevisionId"`
	State            string           `json:"State"`
	LastUpdateStatus string           `json:"LastUpdateStatus"`
	PackageType      string           `json:"PackageType"`
	Architectures    []string         `json:"Architectures"`
	EphemeralStorage EphemeralStorage `json:"EphemeralStorage"`
	SnapStart        SnapStart        `json:"SnapStart"`
	LoggingConfig    LoggingConfig    `json:"LoggingConfig"`
}

type GetFunctionRequest struct{ Reference }

type GetFunctionResponse struct {
	Configuration Configuration     `json:"Configuration"`
	Code          CodeLocation      `json:"Code"`
	Tags          map[string]string `json:"Tags,omitempty"`
	Concurrency   *Concurrency      `json:"Concurrency,omitempty"`
}

// CodeLocation says where AWS keeps the code. Here it stays in the data directory, and no link leads there.
type CodeLocation struct {
	RepositoryType string `json:"RepositoryType"`
}

type GetFunctionConfigurationRequest struct{ Reference }

type UpdateFunctionCodeRequest struct {
	FunctionName  string   `uri:"FunctionName" check:"required,len=1..140,pattern=function"`
	Publish       bool     `json:"Publish"`
	DryRun        bool     `json:"DryRun"`
	RevisionID    string   `json:"RevisionId"`
	Architectures []string `json:"Architectures" check:"len=1..1,each=(enum=x86_64|arm64)"`
	Code
}

type UpdateFunctionConfigurationRequest struct {
	FunctionName     string            `uri:"FunctionName" check:"required,len=1..140,pattern=function"`
	Runtime          string            `json:"Runtime"`
	Role             string            `json:"Role" check:"pattern=rolearn"`
	Handler          string            `json:"Handler" check:"len=0..128,pattern=handler"`
	Description      *string           `json:"Description" check:"len=0..256"`
	Timeout          *int32            `json:"Timeout" check:"range=1..900"`
	MemorySize       *int32            `json:"MemorySize" check:"range=128..10240"`
	Environment      *Environment      `json:"Environment"`
	EphemeralStorage *EphemeralStorage `json:"EphemeralStorage"`
	LoggingConfig    *LoggingConfig    `json:"LoggingConfig"`
	RevisionID       string            `json:"RevisionId"`
	Unserved
}

type DeleteFunctionRequest struct{ Reference }

// Page asks for one page of a listing: at most MaxItems, 50 for 0, after the one that Marker names.
type Page struct {
	Marker   string `query:"Marker" check:"len=0..1024"`
	MaxItems int32  `query:"MaxItems" check:"range=1..10000"`
}

type ListFunctionsRequest struct {
	FunctionVersion string `query:"FunctionVersion" check:"enum=ALL"`
	Page
}

type ListFunctionsResponse struct {
	Functions  []Configuration `json:"Functions"`
	NextMarker string          `json:"NextMarker,omitempty"`
}

type PublishVersionRequest struct {
	FunctionName string  `uri:"FunctionName" check:"required,len=1..140,pattern=function"`
	CodeSHA256   string  `json:"CodeSha256"`
	Description  *string `json:"Description" check:"len=0..256"`
	RevisionID   string  `json:"RevisionId"`
}

type ListVersionsRequest struct {
	FunctionName string `uri:"FunctionName" check:"required,len=1..256,pattern=function"`
	Page
}

type ListVersionsResponse struct {
	Versions   []Configuration `json:"Versions"`
	NextMarker string          `json:"NextMarker,omitempty"`
}

// AliasDescription is an alias as callers see it.
type AliasDescription struct {
	AliasARN        string `json:"AliasArn"`
	Name            string `json:"Name"`
	FunctionVersion string `json:"FunctionVersion"`
	Description     string `json:"Description"`
	RevisionID      string `json:"RevisionId"`
}

// Routing shares the invocations of an alias between two versions, which is not served here.
type Routing struct {
	AdditionalVersionWeights map[string]float64 `json:"AdditionalVersionWeights"`
}

type CreateAliasRequest struct {
	FunctionName    string   `uri:"FunctionName" check:"required,len=1..140,pattern=function"`
	Name            string   `json:"Name" check:"required,len=1..128,pattern=alias"`
	FunctionVersion string   `json:"FunctionVersion" check:"required,len=1..1024,pattern=functionversion"`
	Description     string   `json:"Description" check:"len=0..256"`
	RoutingConfig   *Routing `json:"RoutingConfig"`
}

// AliasReference names an alias.
type AliasReference struct {
	FunctionName string `uri:"FunctionName" check:"required,len=1..140,pattern=function"`
	Name         string `uri:"Name" check:"required,len=1..128,pattern=alias"`
}

type GetAliasRequest struct{ AliasReference }

type UpdateAliasRequest struct {
	AliasReference
	FunctionVersion string   `json:"FunctionVersion" check:"len=1..1024,pattern=functionversion"`
	Description     *string  `json:"Description" check:"len=0..256"`
	RoutingConfig   *Routing `json:"RoutingConfig"`
	RevisionID      string   `json:"RevisionId"`
}

type DeleteAliasRequest struct{ AliasReference }

type ListAliasesRequest struct {
	FunctionName    string `uri:"FunctionName" check:"required,len=1..140,pattern=function"`
	FunctionVersion string `query:"FunctionVersion" check:"len=1..1024,pattern=functionversion"`
	Page
}

type ListAliasesResponse struct {
	Aliases    []AliasDescription `json:"Aliases"`
	NextMarker string             `json:"NextMarker,omitempty"`
}

type AddPermissionRequest struct {
	Reference
	StatementID         string `json:"StatementId" check:"required,len=1..100,pattern=statementid"`
	Action              string `json:"Action" check:"required,pattern=lambdaaction"`
	Principal           string `json:"Principal" check:"required,pattern=handler"`
	SourceARN           string `json:"SourceArn" check:"pattern=anyarn"`
	SourceAccount       string `json:"SourceAccount" check:"len=0..12,pattern=account"`
	EventSourceToken    string `json:"EventSourceToken" check:"len=0..256,pattern=statementid"`
	PrincipalOrgID      string `json:"PrincipalOrgID" check:"len=12..34,pattern=organization"`
	RevisionID          string `json:"RevisionId"`
	FunctionURLAuthType string `json:"FunctionUrlAuthType" check:"enum=NONE|AWS_IAM"`
	ViaFunctionURL      bool   `json:"InvokedViaFunctionUrl"`
}

type AddPermissionResponse struct {
	Statement string `json:"Statement"`
}

type RemovePermissionRequest struct {
	Reference
	StatementID string `uri:"StatementId" check:"required,len=1..100,pattern=statementid"`
	RevisionID  string `query:"RevisionId"`
}

type GetPolicyRequest struct{ Reference }

type GetPolicyResponse struct {
	Policy     string `json:"Policy"`
	RevisionID string `json:"RevisionId"`
}

// The types of invocation.
const (
	InvokeAndWait = "RequestResponse"
	InvokeEvent   = "Event"
	InvokeDryRun  = "DryRun"
)

type InvokeRequest struct {
	Reference
	InvocationType string `header:"X-Amz-Invocation-Type" check:"enum=Event|RequestResponse|DryRun"`
	LogType        string `header:"X-Amz-Log-Type" check:"enum=None|Tail"`
	ClientContext  string `header:"X-Amz-Client-Context" check:"len=0..3583"`
	Payload        []byte `payload:"Payload"`
	// Tenant and Execution ask for tenant isolation and for a durable execution, which are not served here.
	Tenant    string `header:"X-Amz-Tenant-Id"`
	Execution string `header:"X-Amz-Durable-Execution-Name"`
}

// InvokeResponse is the answer to an invocation. Its payload is what the function said, byte by byte.
type InvokeResponse struct {
	// Status is 200, or 204 for a dry run.
	Status int
	// FunctionError is "" for a success, and Unhandled for what went wrong in the function.
	FunctionError string
	// Version is the version that ran.
	Version string
	// Log is the end of the log, if it was asked for.
	Log     []byte
	Payload []byte
}

// Answer is the response as HTTP has it.
func (r *InvokeResponse) Answer() (status int, header map[string]string, body []byte) {
	header = map[string]string{"X-Amz-Executed-Version": r.Version}
	if r.FunctionError != "" {
		header["X-Amz-Function-Error"] = r.FunctionError
	}
	if len(r.Log) > 0 {
		header["X-Amz-Log-Result"] = base64.StdEncoding.EncodeToString(r.Log)
	}
	return r.Status, header, r.Payload
}

type CodeSigningRequest struct {
	FunctionName string `uri:"FunctionName" check:"required,len=1..256,pattern=function"`
}

type CodeSigningResponse struct {
	FunctionName string `json:"FunctionName"`
}

// Concurrency is how many invocations of a function may go on at once.
type Concurrency struct {
	Reserved *int32 `json:"ReservedConcurrentExecutions,omitempty"`
}

type PutConcurrencyRequest struct {
	FunctionName string `uri:"FunctionName" check:"required,len=1..140,pattern=function"`
	Reserved     int32  `json:"ReservedConcurrentExecutions" check:"required,range=0..1000"`
}

type GetConcurrencyRequest struct {
	FunctionName string `uri:"FunctionName" check:"required,len=1..140,pattern=function"`
}

type DeleteConcurrencyRequest struct {
	FunctionName string `uri:"FunctionName" check:"required,len=1..140,pattern=function"`
}

type ListTagsRequest struct {
	Resource string `uri:"Resource" check:"required,len=1..256,pattern=anyarn"`
}

type ListTagsResponse struct {
	Tags map[string]string `json:"Tags"`
}

type TagResourceRequest struct {
	Resource string            `uri:"Resource" check:"required,len=1..256,pattern=anyarn"`
	Tags     map[string]string `json:"Tags" check:"required,len=0..50,pattern=tags"`
}

type UntagResourceRequest struct {
	Resource string   `uri:"Resource" check:"required,len=1..256,pattern=anyarn"`
	TagKeys  []string `query:"tagKeys" check:"required,len=0..50,each=(len=1..128)"`
}
