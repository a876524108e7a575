package api

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/lattice"
)

// The shapes are those that internal/generate makes of a service of this protocol; its test has the model.
type danceRequest struct {
	VPCID   string     `uri:"VpcId" check:"required,len=1.."`
	Dry     bool       `query:"dry"`
	Caller  string     `header:"X-Caller"`
	Name    string     `xml:"Name" check:"required,len=..8"`
	Count   *int32     `xml:"Count,omitempty" check:"range=1..9"`
	Ratio   float64    `xml:"Ratio,omitempty"`
	Steps   []footfall `xml:"Steps>Step,omitempty" check:"len=..3"`
	Shoes   []string   `xml:"Shoe,omitempty"`
	Partner *partner   `xml:"Partner,omitempty"`
}

type footfall struct {
	Foot string `xml:"Foot" check:"required,enum=left|right"`
}

type partner struct {
	Name string `xml:"Name,omitempty"`
}

type danceResponse struct {
	Location string      `header:"Location"`
	Name     string      `xml:"Name"`
	At       aws.Instant `xml:"At"`
	Steps    []footfall  `xml:"Steps>Step"`
	Shoes    []string    `xml:"Shoe"`
	Partner  *partner    `xml:"Partner,omitempty"`
	Mark     []byte      `xml:"Mark,omitempty"`
}

func dance(_ context.Context, _ iam.Caller, in *danceRequest) (*danceResponse, error) {
	return &danceResponse{Location: "/" + in.VPCID, Name: in.Name, At: aws.Instant{Time: testNow.Truncate(time.Second)},
		Steps: in.Steps, Shoes: in.Shoes, Partner: in.Partner, Mark: []byte("<&")}, nil
}

func danceService() restXML {
	return restXML{routes: newRoutes([]operation{rest("Dance", "POST", "/2026/vpc/{VpcId}", 201, dance)}),
		strangers: strangers{refuse: true, tolerated: tolerance{"Dance": {"Song": withoutEffect}}},
		namespace: "https://dance.test/", invalid: "InvalidInput", failure: plainFailure}
}

const danceBody = `<?xml version="1.0"?><DanceRequest xmlns="https://dance.test/"><Name>waltz &amp; so</Name><Count>3</Count>` +
	`<Ratio>0.5</Ratio><Steps><Step><Foot>left</Foot></Step><Step><Foot>right</Foot></Step></Steps><Shoe>a</Shoe>` +
	`<Shoe>b</Shoe><Partner/></DanceRequest>`

func TestRESTXMLRequests(t *testing.T) {
	r := httptest.NewRequest("POST", "/2026/vpc/a%2Fb?dry=true", nil)
	r.Header.Set("X-Caller", "ada")
	op, input, err := danceService().decode(r, []byte(strings.Replace(danceBody, "waltz &amp; so", "waltz", 1)))
	want := &danceRequest{"a/b", true, "ada", "waltz", new(int32(3)), 0.5, []footfall{{"left"}, {"right"}},
		[]string{"a", "b"},
		&partner{}}
	if err != nil || op.name != "Dance" || !reflect.DeepEqual(input, want) {
		t.Errorf("got %+v, %v", input, err)
	}
}

func TestRESTXMLFaults(t *testing.T) {
	for _, c := range []struct{ target, body, want string }{
		{"/2026/vpc/a", danceBody, "InvalidInput: Name must have at most 8 characters, has 10"},
		{"/2026/vpc/a", "", "InvalidInput: Name is required"},
		{"/2026/vpc/a", "<R><Name>a</Name><Steps><Step><Foot>up</Foot></Step></Steps></R>",
			`InvalidInput: Steps[0].Foot must be one of left, right, is "up"`},
		{"/2026/vpc/a", "<R><Name>a</Name><Count>x</Count></R>", `InvalidInput: Count must be an integer, is "x"`},
		{"/2026/vpc/a", "<R><Name>a</Name><Ratio>x</Ratio></R>", `InvalidInput: Ratio must be a number, is a string`},
		{"/2026/vpc/a", "<R><Name>a</Name><Ratio>NaN</Ratio></R>", `InvalidInput: Ratio must be a number, is a string`},
		{"/2026/vpc/a", "<R><Name>a</Name><Hat><Size>9</Size></Hat></R>",
			`InvalidInput: The member "Hat.Size" is not recognized`},
		{"/2026/vpc/a", "<R><Name>a</Name><Song>x</Song></R>", ""},
		{"/2026/vpc/a?x=y", "<R><Name>a</Name></R>", `InvalidInput: The member "x" is not recognized`},
		{"/2026/vpc/a", "<R><Name>a</R>", "MalformedXML: the body is not valid XML"},
		{"/2026/vpc/a", "<R/><R/>", "MalformedXML: the body must be one element, has 2"},
		{"/2026/vpc/a", "text", "MalformedXML: the body must be one element, has 0"},
		{"/2026/vpc/a", "<!DOCTYPE R [<!ENTITY a \"b\">]><R><Name>&a;</Name></R>",
			"MalformedXML: the body has a document type"},
		{"/2026/vpc/a", "<R><Name>&a;</Name></R>", "MalformedXML: the body is not valid XML"},
		{"/2026/vpc/a", "<R>\xff</R>", "MalformedXML: the body is not valid UTF-8"},
		{"/2026/vpc/a", strings.Repeat("<R>", maxDepth+2), "MalformedXML: the body has more than"},
		{"/2026/vpc", "<R/>", `there is no operation POST "/2026/vpc"`},
	} {
		_, _, err := danceService().decode(httptest.NewRequest("POST", c.target, nil), []byte(c.body))
		if (c.want == "") != (err == nil) || !strings.Contains(fmt.Sprint(err), c.want) && c.want != "" {
			t.Errorf("%s %s: got %v, want %s", c.target, c.body, err, c.want)
		}
	}
}

func TestRESTXMLAnswers(t *testing.T) {
	op := danceService().routes[0].operation
	output, err := op.call(t.Context(), iam.Caller{}, &danceRequest{VPCID: "v", Name: "a<b", Shoes: []string{"x", "y"}})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := danceService().answer(w, op, output, "id"); err != nil {
		t.Fatal(err)
	}
	want := xml.Header + `<DanceResponse xmlns="https://dance.test/"><Name>a&lt;b</Name><At>` +
		testNow.UTC().Format("2006-01-02T15:04:05Z") + `</At><Steps></Steps><Shoe>x</Shoe><Shoe>y</Shoe>` +
		`<Mark>PCY=</Mark></DanceResponse>`
	if w.Code != 201 || w.Header().Get("Location") != "/v" || w.Header().Get("Content-Type") != restXMLType ||
		w.Body.String() != want {
		t.Errorf("got %d %v\n%s, want\n%s", w.Code, w.Header(), w.Body, want)
	}
}

func TestRESTXMLErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{&aws.Error{Code: "NoSuchDance", Status: 404, Message: "a<b"}, 404,
			"<Type>Sender</Type><Code>NoSuchDance</Code><Message>a&lt;b</Message>"},
		{&lattice.Error{Kind: lattice.Internal, Message: "x"}, 500, "<Type>Receiver</Type><Code>InternalError</Code>"},
		{errors.New("secret"), 500, "<Code>InternalError</Code><Message>internal error</Message>"},
	} {
		w := httptest.NewRecorder()
		danceService().refuse(w, c.err, "id")
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) ||
			!strings.Contains(w.Body.String(), "<RequestId>id") {
			t.Errorf("got %d %s, want %s", w.Code, w.Body, c.want)
		}
	}
}

// FuzzRESTXML writes what it could read, and reads the same again.
func FuzzRESTXML(f *testing.F) {
	f.Add([]byte(danceBody))
	f.Add([]byte("<R><Name>a</Name><Shoe/><Steps/><Partner><Name> </Name></Partner></R>"))
	f.Add([]byte("<!DOCTYPE R><R/>"))
	f.Add([]byte("<a:R xmlns:a='b'><Name><![CDATA[<x>]]></Name><Count>01</Count></a:R>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", "/2026/vpc/a", nil)
		_, input, err := danceService().decode(r, body)
		if err != nil {
			return
		}
		var b bytes.Buffer
		e := xml.NewEncoder(&b)
		if err := errors.Join(writeXML(e, reflect.ValueOf(input), xml.Name{Local: "R"}, ""), e.Close()); err != nil {
			t.Fatal(err)
		}
		_, again, err := danceService().decode(r, b.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", b.Bytes(), err)
		}
		if !reflect.DeepEqual(absentWhereEmpty(input), absentWhereEmpty(again)) {
			t.Errorf("read %+v, and then %+v from %s", input, again, b.Bytes())
		}
	})
}

// absentWhereEmpty has lists without elements as lists that are not there: they mean the same.
func absentWhereEmpty(input any) danceRequest {
	in := *input.(*danceRequest)
	if len(in.Steps) == 0 {
		in.Steps = nil
	}
	return in
}
