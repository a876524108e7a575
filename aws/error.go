// Package aws holds what the neighbours of VPC Lattice have in common. Each neighbour has a package of its own below
// this one, with its nouns, only as large as its users need.
package aws

import "fmt"

// Error is an error of a service that names its errors by code, such as EC2's InvalidVpcID.NotFound.
type Error struct {
	Code, Message string
	// Status is the HTTP status of the response; 0 means 400.
	Status int
	// Reason tells apart errors of one code, where a service does so, such as OU_DEPTH_LIMIT_EXCEEDED; "" for none.
	Reason string
}

// Error is the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes an error with HTTP status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Tag is one tag of a resource of a service that keeps its tags in lists.
type Tag struct{ Key, Value string }
