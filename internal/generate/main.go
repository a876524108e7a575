// Command generate writes, from the model of a service, the Go code that says nothing else than the model:
//
//	generate shapes model.json              shapes.go: the wire types with their checks, beside the nouns
//	generate operations ../aws/x/model.json operations.go: what others call of a package of the control plane
//	generate tables ..                      tables.go: the rows of all services, in package api
//
// The three are one program, because they must agree on the names that Go has for those of a model. internal/trimmodel
// makes and renews the models.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"text/template"

	"pergola/internal/apimodel"
)

// The files that are written.
const (
	shapesFile     = "shapes.go"
	operationsFile = "operations.go"
	tablesFile     = "tables.go"
)

// outputs are the files that are written, by what is asked for.
var outputs = map[string]struct {
	file string
	make func(directory, from string) ([]byte, error)
}{
	"shapes":     {shapesFile, shapes},
	"operations": {operationsFile, operations},
	"tables":     {tablesFile, tables},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || outputs[args[0]].make == nil {
		return fmt.Errorf("usage: generate shapes MODEL | operations MODEL | tables ROOT")
	}
	output := outputs[args[0]]
	content, err := output.make(".", args[1])
	if err != nil {
		return err
	}
	return os.WriteFile(output.file, content, 0o644)
}

// written carries out a template and formats what it makes.
func written(text *template.Template, data any) ([]byte, error) {
	var out bytes.Buffer
	if err := text.Execute(&out, data); err != nil {
		return nil, err
	}
	content, err := format.Source(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w in\n%s", err, out.String())
	}
	return content, nil
}

// service is a service and where its code is.
type service struct {
	// Name is that of the table, Shapes the package of its shapes and Control that of its operations.
	Name, Shapes, Control string
}

// services are all services.
var services = []service{
	{"lattice", "lattice", "control"}, {"acm", "aws/acm", "control/acm"}, {"ec2", "aws/ec2", "control/ec2"},
	{"elbv2", "aws/elbv2", "control/elbv2"}, {"iam", "aws/iam", "control/iam"}, {"lambda", "aws/lambda", "control/lambda"},
	{"organizations", "aws/organizations", "control/organizations"}, {"route53", "aws/route53", "control/route53"},
	{"sts", "aws/sts", "control/sts"},
}

// model reads the model of a service.
func (s service) model(root string) (*apimodel.Model, error) {
	return apimodel.Read(root + "/" + s.Shapes + "/model.json")
}
