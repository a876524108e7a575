package sealing

import (
	"bytes"
	"testing"
)

// FuzzDecode reads what an authenticated token could hold. It is refused, or it is what it says: written
// again and read again it is the same.
func FuzzDecode(f *testing.F) {
	caller, err := decode([]byte("\x01a\x01b\x01c\x01d\x01e\x01f\x01g\x01h\x01i\x02\x01k\x01v\x01\x01t\x01\x01p\x02\x04"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encode(&caller))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, plain []byte) {
		caller, err := decode(plain)
		if err != nil {
			return
		}
		again, err := decode(encode(&caller))
		if err != nil || !bytes.Equal(encode(&again), encode(&caller)) {
			t.Errorf("%q is read as %+v, and then as %+v, %v", plain, caller, again, err)
		}
	})
}
