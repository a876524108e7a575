package elbv2

//go:generate go run pergola/internal/generate shapes model.json

// APIVersion is the version of the API in model.json. The shapes that are served are in shapes.go.
const APIVersion = "2015-12-01"

// Empty answers the operations that have nothing to tell.
type Empty struct{}
