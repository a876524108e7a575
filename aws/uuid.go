package aws

import (
	"fmt"
	"io"
)

// NewUUID makes a random UUID (RFC 9562 §5.4), which is what the ids of requests, of invocations and of certificates look
// like. It panics when the source of randomness fails, which the operating system's never does.
func NewUUID(random io.Reader) string {
	var raw [16]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		panic(fmt.Sprintf("aws: no randomness for a UUID: %v", err))
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
}
