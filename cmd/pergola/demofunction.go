package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
)

// functionHandler is the handler of the demo's function. The function's program is pergola itself, since nothing else is
// sure to be here: it knows by this name what it is to be.
const functionHandler = "pergola.demo.rates"

// isDemoFunction reports whether this process is an environment of the demo's function.
func isDemoFunction() bool {
	return os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" && os.Getenv("_HANDLER") == functionHandler
}

// event is what the function looks at in an event of VPC Lattice, in the structure V2 (user guide, "Receive events from
// the VPC Lattice service").
type event struct {
	Path           string `json:"path"`
	Method         string `json:"method"`
	RequestContext struct {
		Identity struct {
			SourceVPCARN string `json:"sourceVpcArn"`
		} `json:"identity"`
	} `json:"requestContext"`
}

// response is how a function answers (user guide, "Respond to the VPC Lattice service").
type response struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}

// answerEvent is the demo's function.
func answerEvent(_ context.Context, e event) (response, error) {
	return response{
		StatusCode: http.StatusOK, Headers: map[string]string{"content-type": "text/plain"},
		Body: fmt.Sprintf("function %s was asked to %s %s from %s", os.Getenv("AWS_LAMBDA_FUNCTION_NAME"), e.Method, e.Path, path.Base(e.RequestContext.Identity.SourceVPCARN)),
	}, nil
}

// zipProgram makes a zip file with the program of this process as the program of a function.
func zipProgram() ([]byte, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(program)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	entry, err := archive.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(entry, file); err != nil {
		return nil, err
	}
	err = archive.Close()
	return content.Bytes(), err
}

const (
	functionName = "rates"
	functionsAPI = "/2015-03-31/functions"
)

// callFunction has a rule lead to the function, and calls it.
func (s *story) callFunction() (string, error) {
	arn, err := s.function()
	if err != nil {
		return "", err
	}
	group, err := s.create("/targetgroups", body{"name": functionName, "type": "LAMBDA", "config": body{"lambdaEventStructureVersion": "V2"}})
	if err != nil {
		return "", err
	}
	if err := s.register(group.ID, arn); err != nil {
		return "", err
	}
	if err := s.pathRule(s.listener, functionName, "/rates", group.ID); err != nil {
		return "", err
	}
	client := s.client.Client()
	var got answer
	want := fmt.Sprintf("function %s was asked to GET /rates/eur from %s", functionName, s.payments.vpc)
	err = s.soon(func() (err error) {
		got, err = s.fetch(client, "http://"+s.domain+"/rates/eur", nil)
		if err == nil && got.body != want {
			err = fmt.Errorf("%d %s", got.status, got.body)
		}
		return err
	})
	return fmt.Sprintf("%d %s", got.status, got.body), err
}

// makeFunction makes the role and the function, and returns the function's ARN.
func (s *story) makeFunction() (arn string, err error) {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	var made struct {
		ARN string `xml:"CreateRoleResult>Role>Arn"`
	}
	if err := s.api.Query(s.ctx, "iam", "CreateRole", url.Values{"RoleName": {functionName}, "AssumeRolePolicyDocument": {trust}}, &made); err != nil {
		return "", err
	}
	code, err := zipProgram()
	if err != nil {
		return "", err
	}
	var created struct{ FunctionArn string }
	err = s.api.Lambda(s.ctx, "POST", functionsAPI, body{
		"FunctionName": functionName, "Runtime": "provided.al2023", "Handler": functionHandler, "Role": made.ARN,
		"MemorySize": 512, "Code": body{"ZipFile": code},
	}, &created)
	return created.FunctionArn, err
}

func (s *story) deleteFunction() error {
	if err := s.api.Lambda(s.ctx, "DELETE", functionsAPI+"/"+functionName, nil, nil); err != nil {
		return err
	}
	return s.api.Query(s.ctx, "iam", "DeleteRole", url.Values{"RoleName": {functionName}}, nil)
}
