package acm

//go:generate go run pergola/internal/generate shapes model.json

// APIVersion is the version of the API in model.json. The shapes that are served are in shapes.go.
const APIVersion = "2015-12-08"

// TargetPrefix begins the names of operations in the header X-Amz-Target.
const TargetPrefix = "CertificateManager"

// The statuses that a certificate can have here.
const (
	StatusIssued  = "ISSUED"
	StatusExpired = "EXPIRED"
)

// RSA2048 is the algorithm of the keys of certificates that are requested.
const RSA2048 = "RSA_2048"
