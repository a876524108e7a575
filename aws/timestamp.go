package aws

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// Timestamp is an instant as the JSON protocols write it: seconds since 1970 as a number, with milliseconds.
type Timestamp struct{ time.Time }

// MarshalJSON writes the instant.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64), nil
}

// MarshalCBOR writes the instant as CBOR has it: the same number, as epoch-based time (RFC 8949 §3.4.2).
func (t Timestamp) MarshalCBOR() ([]byte, error) {
	const epochTime, float64Follows = 0xc1, 0xfb
	seconds := float64(t.UnixMilli()) / 1000
	return binary.BigEndian.AppendUint64([]byte{epochTime, float64Follows}, math.Float64bits(seconds)), nil
}
