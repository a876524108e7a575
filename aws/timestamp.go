package aws

import (
	"strconv"
	"time"
)

// Timestamp is an instant as the JSON protocols write it: seconds since 1970 as a number, with milliseconds.
type Timestamp struct{ time.Time }

// MarshalJSON writes the instant.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64), nil
}
