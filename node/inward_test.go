package node

import (
	"bytes"
	"strings"
	"testing"
)

func TestASourceIsReadAndNothingBehindIt(t *testing.T) {
	want, err := ParseSource("from vpc-0123 10.0.1.7:4711")
	if err != nil || want.VPC != "vpc-0123" || want.Address.String() != "10.0.1.7:4711" {
		t.Fatalf("got %+v, %v", want, err)
	}
	stream := bytes.NewBufferString(want.String() + "\nGET / HTTP/1.1\r\n")
	if got, err := ReadSource(stream); got != want || err != nil || stream.String() != "GET / HTTP/1.1\r\n" {
		t.Errorf("got %+v, %v, and %q is left", got, err, stream)
	}
	for _, line := range []string{"", "\n", "GET / HTTP/1.1\r\n", "from vpc-1 10.0.0.1\n", "from  10.0.0.1:1\n",
		"from vpc-1 10.0.0.1:1 more\n", "from " + strings.Repeat("v", 200) + " 10.0.0.1:1\n"} {
		if got, err := ReadSource(strings.NewReader(line)); err == nil {
			t.Errorf("%q is %+v", line, got)
		}
	}
}

func FuzzParseSource(f *testing.F) {
	f.Add("from vpc-0123 10.0.1.7:4711")
	f.Add("from vpc-0123 [fd00::1]:1\n")
	f.Fuzz(func(t *testing.T, line string) {
		source, err := ParseSource(line)
		if err != nil {
			return
		}
		if again, err := ParseSource(source.String()); again != source || err != nil {
			t.Errorf("%q is %+v, and that reads as %+v, %v", line, source, again, err)
		}
	})
}
