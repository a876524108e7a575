package api

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"pergola/aws"
)

// What is asked of a service that is not served here is refused in that service's own protocol, so that its SDK shows
// the message. The request tells the protocol, apart from that of the few services that answer in XML without being
// asked in forms: those are known by their names.

// refuser puts errors on the wire.
type refuser interface {
	refuse(w http.ResponseWriter, err error, requestID string)
}

// The services whose protocol is restXml, by the names that signatures have for them. S3 has an envelope of its own.
var (
	bucketServices  = []string{"s3", "s3express", "s3-object-lambda", "s3-outposts"}
	restXMLServices = []string{"cloudfront"}
)

// bucketControl begins the paths of the control API of S3, which has the usual envelope, and the name of S3.
const bucketControl = "/v20180820/"

// protocolHeader names the protocol of requests of the newer protocols.
const protocolHeader = "Smithy-Protocol"

// refuserFor tells the protocol of a request that belongs to no service here. service is the one it was signed for, or
// "".
func refuserFor(r *http.Request, service string) refuser {
	target := r.Header.Get(targetHeader)
	switch {
	case r.Header.Get(protocolHeader) == cborProtocol:
		return cbor{}
	case slices.Contains(bucketServices, service) && !strings.HasPrefix(r.URL.Path, bucketControl):
		return restXML{failure: bucketFailure}
	case slices.Contains(bucketServices, service), slices.Contains(restXMLServices, service):
		return restXML{failure: plainFailure}
	case target != "":
		return newAWSJSON(jsonStyle{invalid: "ValidationException", internal: "InternalFailure", version: jsonVersion(r)},
			nil)
	case isForm(r) && (service == "" || service == "ec2"):
		return newQuery(ec2Style, nil)
	case isForm(r):
		return newQuery(style{failure: plainFailure, internal: "InternalFailure"}, nil)
	}
	return newRESTJSON(nil)
}

// refuseForeign answers a request that belongs to no service here.
func refuseForeign(w http.ResponseWriter, r *http.Request, err error, requestID string) {
	var unserved *notServed
	if !errors.As(err, &unserved) {
		refuserFor(r, "").refuse(w, err, requestID)
		return
	}
	to := refuserFor(r, unserved.service)
	to.refuse(w, unserved.inWordsOf(to), requestID)
}

// jsonVersion is the version of JSON 1.x that a request has.
func jsonVersion(r *http.Request) string {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-amz-json-1.0") {
		return "application/x-amz-json-1.0"
	}
	return awsJSONType
}

// notServed says that a service is not here, in the code that its protocol has for that.
type notServed struct {
	service string
	there   []string
}

func (e *notServed) Error() string {
	return fmt.Sprintf("the service %s is not served here; there are %s", quoted(e.service), strings.Join(e.there, ", "))
}

// as is the error with the code that a protocol has for it.
func (e *notServed) as(code string, status int) *aws.Error {
	return &aws.Error{Code: code, Status: status, Message: e.Error()}
}

// inWordsOf gives the error its code.
func (e *notServed) inWordsOf(r refuser) error {
	switch r.(type) {
	case query:
		return e.as("InvalidAction", http.StatusBadRequest)
	case restXML:
		return e.as("NotImplemented", http.StatusNotImplemented)
	}
	return e.as("UnknownOperationException", http.StatusNotFound)
}

// bucketFailure is the envelope of S3.
func bucketFailure(f queryError, _, requestID string) any {
	return struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
		RequestID     string `xml:"RequestId"`
	}{Code: f.Code, Message: f.Message, RequestID: requestID}
}
