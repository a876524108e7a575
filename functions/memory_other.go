//go:build !linux

package functions

// limitMemory does nothing: there is no limit here.
func limitMemory(int, int) {}

// memoryOf cannot be told here.
func memoryOf(int) int64 { return 0 }
