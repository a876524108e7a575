// Command bootstrap is a Lambda function that says what it was called with.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// event is the part of an event of VPC Lattice, in the structure V2, that the function looks at.
type event struct {
	Path           string              `json:"path"`
	Method         string              `json:"method"`
	Headers        map[string][]string `json:"headers"`
	Query          map[string][]string `json:"queryStringParameters"`
	Body           string              `json:"body"`
	IsBase64       bool                `json:"isBase64Encoded"`
	RequestContext json.RawMessage     `json:"requestContext"`
	Do             string              `json:"do"`
}

type response struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

func handle(ctx context.Context, raw json.RawMessage) (any, error) {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	fmt.Println("handling", e.Method, e.Path)
	if do := e.Headers["x-do"]; len(do) > 0 {
		e.Do = do[0]
	}
	switch e.Do {
	case "fail":
		return nil, errors.New("it did not work")
	case "panic":
		panic("at the disco")
	case "exit":
		os.Exit(3)
	case "sleep":
		time.Sleep(time.Minute)
	case "eat":
		eaten := make([][]byte, 0)
		for {
			piece := make([]byte, 16<<20)
			for i := range piece {
				piece[i] = 1
			}
			eaten = append(eaten, piece)
		}
	case "large":
		return strings.Repeat("x", 7<<20), nil
	case "nonsense":
		return "no response of HTTP", nil
	case "environment":
		set := map[string]string{}
		for _, variable := range os.Environ() {
			name, value, _ := strings.Cut(variable, "=")
			set[name] = value
		}
		return set, nil
	case "echo":
		return raw, nil
	case "binary":
		return response{200, map[string]string{"content-type": "application/octet-stream"}, base64.StdEncoding.EncodeToString([]byte{0, 1, 0xff}), true}, nil
	}
	deadline, _ := ctx.Deadline()
	lc, _ := lambdacontext.FromContext(ctx)
	return response{201, map[string]string{"Content-Type": "text/plain", "X-Request": lc.AwsRequestID, "Connection": "close"},
		fmt.Sprintf("%s %s by %s, in time: %t", e.Method, e.Path, lc.InvokedFunctionArn, deadline.After(time.Now())), false}, nil
}

func main() { lambda.Start(handle) }
