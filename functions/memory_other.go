//go:build !linux

package functions

// memoryOf cannot be told here.
func memoryOf(int) int64 { return 0 }
