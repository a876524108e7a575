package api

import (
	"context"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	codec "github.com/fxamacker/cbor/v2"

	"pergola/aws"
	"pergola/aws/iam"
)

type singRequest struct {
	Name    string            `json:"Name" check:"required,len=..8"`
	Count   *int32            `json:"Count,omitempty" check:"range=1..9"`
	Ratio   float64           `json:"Ratio,omitempty"`
	Loud    bool              `json:"Loud,omitempty"`
	Verses  []footfall        `json:"Verses,omitempty" check:"len=..3"`
	Sound   []byte            `json:"Sound,omitempty" check:"len=..4"`
	Credits map[string]string `json:"Credits,omitempty"`
}

type singResponse struct {
	Name   string        `json:"Name"`
	At     aws.Timestamp `json:"At"`
	Verses []footfall    `json:"Verses"`
	Absent string        `json:"Absent,omitempty"`
}

func songService() cbor {
	sing := func(_ context.Context, _ iam.Caller, in *singRequest) (*singResponse, error) {
		return &singResponse{Name: in.Name, At: aws.Timestamp{Time: time.UnixMilli(1_700_000_000_250)}}, nil
	}
	p := newCBOR("Songs", "InvalidInput", []operation{action("Sing", sing)})
	p.strangers = strangers{refuse: true}
	return p
}

// sung is a request with a body of these members.
func sung(t testing.TB, body any) (*operation, any, error) {
	t.Helper()
	content, ok := body.([]byte)
	if !ok {
		var err error
		if content, err = codec.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	r := httptest.NewRequest("POST", "/service/Songs/operation/Sing", nil)
	r.Header.Set(protocolHeader, cborProtocol)
	return songService().decode(r, content)
}

type members = map[string]any

func TestCBORRequests(t *testing.T) {
	want := &singRequest{"lied", new(int32(3)), 0.5, true, []footfall{{"left"}}, []byte{0xff}, map[string]string{"a": "b"}}
	definite := members{"Name": "lied", "Count": 3, "Ratio": 0.5, "Loud": true, "Verses": []any{members{"Foot": "left"}},
		"Sound": []byte{0xff}, "Credits": members{"a": "b"}}
	if op, input, err := sung(t, definite); err != nil || op.name != "Sing" || !reflect.DeepEqual(input, want) {
		t.Errorf("got %+v, %v", input, err)
	}
	// Of indefinite length, as SDKs write maps (RFC 8949 §3.2.2), with a null, which is as good as absent.
	indefinite := []byte("\xbf\x64Name\x7f\x62li\x62ed\xff\x65Count\xf6\xff")
	if _, input, err := sung(t, indefinite); err != nil || !reflect.DeepEqual(input, &singRequest{Name: "lied"}) {
		t.Errorf("got %+v, %v", input, err)
	}
}

func TestCBORFaults(t *testing.T) {
	for _, c := range []struct {
		body any
		want string
	}{
		{[]byte{}, "InvalidInput: Name is required"},
		{members{"Name": "too long a name"}, "InvalidInput: Name must have at most 8 characters, has 15"},
		{members{"Name": []byte("a")}, "InvalidInput: Name must be a string, is bytes"},
		{members{"Name": "a", "Count": 1.5}, `InvalidInput: Count must be an integer, is "1.5"`},
		{members{"Name": "a", "Count": -3}, "InvalidInput: Count must be from 1 to 9, is -3"},
		{members{"Name": "a", "Sound": []byte("12345")}, "InvalidInput: Sound must have at most 4 bytes, has 5"},
		{members{"Name": "a", "Hat": members{"Size": 9}}, `InvalidInput: The member "Hat.Size" is not recognized`},
		{[]any{1}, "SerializationException: the body must be a map"},
		{[]byte{0xbf}, "SerializationException: the body is not valid CBOR"},
		{[]byte("\xa2\x61a\x01\x61a\x02"), "SerializationException: the body is not valid CBOR"},
		{[]byte("\xa1\x01\x02"), "SerializationException: the body is not valid CBOR"},
		{[]byte("\xa1\x61a\x61\xff"), "SerializationException: the body is not valid CBOR"},
		{[]byte("\xa0\xa0"), "SerializationException: the body is not valid CBOR"},
		{[]byte(strings.Repeat("\x81", maxDepth+1) + "\x01"), "SerializationException: the body is not valid CBOR"},
	} {
		if _, _, err := sung(t, c.body); !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: got %v, want %s", c.body, err, c.want)
		}
	}
	for _, path := range []string{"/service/Songs/operation/Dance", "/service/Other/operation/Sing", "/"} {
		r := httptest.NewRequest("POST", path, nil)
		r.Header.Set(protocolHeader, cborProtocol)
		if _, _, err := songService().decode(r, nil); !strings.Contains(fmt.Sprint(err), "UnknownOperationException") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCBORAnswers(t *testing.T) {
	op := songService().operations["/service/Songs/operation/Sing"]
	output, err := op.call(t.Context(), iam.Caller{}, &singRequest{Name: "lied"})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := songService().answer(w, op, output, "id"); err != nil {
		t.Fatal(err)
	}
	want := "\xa3\x64Name\x64lied\x62At\xc1\xfb\x41\xd9\x54\xfc\x40\x10\x00\x00\x66Verses\x80"
	if w.Code != 200 || w.Header().Get("Content-Type") != cborType || w.Header().Get(protocolHeader) != cborProtocol ||
		w.Body.String() != want {
		t.Errorf("got %d %v %q, want %q", w.Code, w.Header(), w.Body, want)
	}
	w = httptest.NewRecorder()
	songService().refuse(w, &aws.Error{Code: "NoSuchSong", Status: 404, Message: "none"}, "id")
	if want := "\xa2\x66__type\x6aNoSuchSong\x67message\x64none"; w.Code != 404 || w.Body.String() != want {
		t.Errorf("got %d %q, want %q", w.Code, w.Body, want)
	}
}

// FuzzCBOR writes what it could read, and reads the same again.
func FuzzCBOR(f *testing.F) {
	for _, body := range []any{members{"Name": "lied", "Count": 3, "Ratio": 0.5, "Verses": []any{members{"Foot": "left"}}},
		members{"Name": "", "Credits": members{"a": "b"}, "Sound": []byte{1}}} {
		content, err := codec.Marshal(body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Add([]byte("\xbf\x64Name\x7f\x62li\x62ed\xff\x65Count\xf6\xff"))
	f.Add([]byte("\xa1\x64Name\xc1\xfb\x41\xd9\x54\xfc\x40\x10\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, input, err := sung(t, body)
		if err != nil {
			return
		}
		written, err := writer.Marshal(input)
		if err != nil {
			t.Fatal(err)
		}
		_, again, err := sung(t, written)
		if err != nil {
			t.Fatalf("%x: %v", written, err)
		}
		if first, second := settledSong(input), settledSong(again); !reflect.DeepEqual(first, second) {
			t.Errorf("read %+v, and then %+v from %x", first, second, written)
		}
	})
}

// settledSong has what is empty as what is not there: an answer omits both.
func settledSong(input any) singRequest {
	in := *input.(*singRequest)
	if len(in.Verses) == 0 {
		in.Verses = nil
	}
	if len(in.Sound) == 0 {
		in.Sound = nil
	}
	if len(in.Credits) == 0 {
		in.Credits = nil
	}
	if in.Ratio == 0 {
		in.Ratio = 0 // and not -0
	}
	return in
}
