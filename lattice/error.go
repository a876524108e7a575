package lattice

import "fmt"

// ErrorKind is one of the seven exceptions that the API declares. There are no others: an error of another kind
// is rendered as InternalServerException, and logged.
type ErrorKind int

const (
	// Internal is a failure of ours.
	Internal ErrorKind = iota
	// Validation refuses malformed input.
	Validation
	// AccessDenied refuses a caller.
	AccessDenied
	// NotFound names a resource that does not exist.
	NotFound
	// Conflict refuses a change because of the state that a resource is in.
	Conflict
	// QuotaExceeded refuses a creation beyond a quota.
	QuotaExceeded
	// Throttling asks the caller to come back later.
	Throttling
)

// errorKinds holds each kind's name on the wire and its HTTP status.
var errorKinds = [...]struct {
	name   string
	status int
}{
	Internal:      {"InternalServerException", 500},
	Validation:    {"ValidationException", 400},
	AccessDenied:  {"AccessDeniedException", 403},
	NotFound:      {"ResourceNotFoundException", 404},
	Conflict:      {"ConflictException", 409},
	QuotaExceeded: {"ServiceQuotaExceededException", 402},
	Throttling:    {"ThrottlingException", 429},
}

// String is the exception's name on the wire.
func (k ErrorKind) String() string { return errorKinds[k].name }

// HTTPStatus is the status of a response that carries the exception.
func (k ErrorKind) HTTPStatus() int { return errorKinds[k].status }

// ValidationReason says why a request was invalid.
type ValidationReason string

const (
	ReasonUnknownOperation      ValidationReason = "unknownOperation"
	ReasonCannotParse           ValidationReason = "cannotParse"
	ReasonFieldValidationFailed ValidationReason = "fieldValidationFailed"
	ReasonOther                 ValidationReason = "other"
)

// FieldError says what is wrong with one member of a request.
type FieldError struct {
	// Name is the member's path, such as "action.forward.targetGroups[0].weight".
	Name    string `json:"name"`
	Message string `json:"message"`
}

// Error is an exception of the API with its modelled members.
type Error struct {
	Kind    ErrorKind
	Message string
	// Reason and Fields belong to Validation.
	Reason ValidationReason
	Fields []FieldError
	// ResourceID and ResourceType belong to NotFound, Conflict and QuotaExceeded.
	ResourceID, ResourceType string
	// QuotaCode belongs to QuotaExceeded and Throttling.
	QuotaCode string
	// RetryAfterSeconds belongs to Internal and Throttling; 0 sends no Retry-After header.
	RetryAfterSeconds int
}

// Error is the exception's name and message.
func (e *Error) Error() string { return e.Kind.String() + ": " + e.Message }

// Invalid refuses a request for one of its fields.
func Invalid(field, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return &Error{
		Kind: Validation, Message: field + ": " + message, Reason: ReasonFieldValidationFailed,
		Fields: []FieldError{{field, message}},
	}
}

// NotFoundError says that no resource of the kind has the id.
func NotFoundError(k Kind, id string) *Error {
	return &Error{
		Kind: NotFound, Message: fmt.Sprintf("Resource not found: %s %s does not exist", k.ResourceType, id),
		ResourceID: id, ResourceType: k.ResourceType,
	}
}

// ConflictError refuses a change because of the state of a resource.
func ConflictError(k Kind, id, format string, args ...any) *Error {
	return &Error{Kind: Conflict, Message: fmt.Sprintf(format, args...), ResourceID: id, ResourceType: k.ResourceType}
}

// StatusConflict refuses a change to a resource whose last change is still in progress, or which has failed.
func StatusConflict(k Kind, id string, status Status) *Error {
	return ConflictError(k, id, "Invalid resource status for this operation, resource id %s, status: %s", id, status)
}

// Quota is a limit on how many of something an account may have. The names, codes and defaults are those of the
// guide's chapter on quotas.
type Quota struct {
	Code, Name string
	Default    int
}

// The quotas of the resources that this package defines.
var (
	QuotaServiceNetworks     = Quota{"L-9CAD07FB", "Service networks per region", 50}
	QuotaServices            = Quota{"L-620C821E", "Services per region", 2000}
	QuotaListeners           = Quota{"L-D64E952E", "Listeners per service", 2}
	QuotaRules               = Quota{"L-CF78395E", "Rules per listener", 10}
	QuotaTargetGroups        = Quota{"L-BB11C6B9", "Target groups per region", 500}
	QuotaServiceTargetGroups = Quota{"L-3DEC3B9F", "Target groups per service", 10}
	QuotaTargets             = Quota{"L-D71303F3", "Targets per target group", 1000}
	QuotaServiceAssociations = Quota{"L-75D4A19E", "Service associations per service network", 500}
	QuotaVPCAssociations     = Quota{"L-EF6E2D62", "VPC associations per service network", 500}

	QuotaResourceGateways       = Quota{"L-0DCA4434", "Resource gateways per VPC", 500}
	QuotaResourceConfigurations = Quota{"L-5FF8F9B9", "Resource configurations per region", 2000}
	QuotaChildren               = Quota{"L-9BC96FEF", "Child resource configurations per group resource configuration", 60}
	QuotaResourceAssociations   = Quota{"L-6095700C", "Resource configurations per service network", 500}
	QuotaDomainVerifications    = Quota{"L-73D0F278", "Domain verifications per region", 5}
)

// Exceeded refuses a creation that would go beyond the quota.
func (q Quota) Exceeded(k Kind, limit int) *Error {
	return &Error{
		Kind:         QuotaExceeded,
		Message:      fmt.Sprintf("%s: the quota of %d is used up; raise quota %s or delete what is not needed", q.Name, limit, q.Code),
		ResourceType: k.ResourceType, QuotaCode: q.Code,
	}
}
