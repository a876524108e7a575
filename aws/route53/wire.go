// Package route53 holds the nouns of Route 53: hosted zones with their record sets, and the changes of them.
package route53

//go:generate go run pergola/internal/generate shapes model.json

// APIVersion is the version of the API in model.json. The shapes that are served are in shapes.go.
const APIVersion = "2013-04-01"

// Namespace is that of the documents of the API.
const Namespace = "https://route53.amazonaws.com/doc/" + APIVersion + "/"
