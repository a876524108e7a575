package node

import (
	"bytes"
	"strings"
	"testing"
)

func TestASourceIsReadAndNothingBehindIt(t *testing.T) {
	want, err := ParseOrigin("from vpc-0123 10.0.1.7:4711")
	if err != nil || want.VPC != "vpc-0123" || want.Address.String() != "10.0.1.7:4711" {
		t.Fatalf("got %+v, %v", want, err)
	}
	stream := bytes.NewBufferString(want.String() + "\nGET / HTTP/1.1\r\n")
	if got, err := ReadOrigin(stream); got != want || err != nil || stream.String() != "GET / HTTP/1.1\r\n" {
		t.Errorf("got %+v, %v, and %q is left", got, err, stream)
	}
	for _, line := range []string{"", "\n", "GET / HTTP/1.1\r\n", "from vpc-1 10.0.0.1\n", "from  10.0.0.1:1\n",
		"from vpc-1 10.0.0.1:1 more\n", "from " + strings.Repeat("v", 200) + " 10.0.0.1:1\n"} {
		if got, err := ReadOrigin(strings.NewReader(line)); err == nil {
			t.Errorf("%q is %+v", line, got)
		}
	}
}

func FuzzParseOrigin(f *testing.F) {
	f.Add("from vpc-0123 10.0.1.7:4711")
	f.Add("from vpc-0123 [fd00::1]:1\n")
	f.Fuzz(func(t *testing.T, line string) {
		source, err := ParseOrigin(line)
		if err != nil {
			return
		}
		if again, err := ParseOrigin(source.String()); again != source || err != nil {
			t.Errorf("%q is %+v, and that reads as %+v, %v", line, source, again, err)
		}
	})
}
