package elbv2

//go:generate go run pergola/internal/generate shapes model.json

// APIVersion is the version of the API in model.json, of which shapes.go has the shapes that are served.
const APIVersion = "2015-12-01"

// Empty answers the operations that have nothing to tell.
type Empty struct{}
