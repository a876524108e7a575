package deployment

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"pergola/control/iam"
	"pergola/dataplane/explain"
	"pergola/fabric"
	"pergola/operator"
)

// Environment returns what a client needs to call the API as the administrator of an account.
func (d *Deployment) Environment(ctx context.Context, account string) (operator.Environment, error) {
	if account == "" {
		account = iam.ManagementAccount
	}
	exists, err := d.accounts.Exists(ctx, account)
	if err != nil {
		return operator.Environment{}, err
	}
	if !exists {
		return operator.Environment{}, fmt.Errorf("account %s does not exist; aws organizations list-accounts tells which do, and create-account makes one", account)
	}
	credential, err := d.keys.Administrator(ctx, account)
	if err != nil {
		return operator.Environment{}, err
	}
	return operator.Environment{
		Endpoint: d.endpoint, Region: d.cfg.Region,
		AccessKeyID: credential.AccessKeyID, SecretAccessKey: credential.Secret, Bundle: d.bundle,
	}, nil
}

// Start runs a program in an instance, or in a short-lived instance of a VPC.
func (d *Deployment) Start(ctx context.Context, program operator.Program, streams operator.Streams) (operator.Process, error) {
	place, err := d.place(program.Place)
	if err != nil {
		return nil, err
	}
	return d.fabric.Start(ctx, place, fabric.Command{
		Args: program.Args, Env: d.trusting(d.calling(program.Env)), Dir: program.Dir, Terminal: program.Terminal,
		Stdin: streams.In, Stdout: streams.Out, Stderr: streams.Err,
	})
}

// Explain tells what would become of a request.
func (d *Deployment) Explain(_ context.Context, question operator.Question) (operator.Explanation, error) {
	header := http.Header{}
	for _, field := range question.Header {
		name, value, _ := strings.Cut(field, ":")
		header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	answer, err := d.node.Explain(question.From, explain.Question{
		As: question.As, Method: question.Method, URL: question.URL, Header: header,
	})
	explanation := operator.Explanation{Reason: answer.Reason}
	for _, gate := range answer.Gates {
		explanation.Gates = append(explanation.Gates, operator.Gate{
			Name: gate.Name, Verdict: string(gate.Verdict), Detail: gate.Detail, More: gate.More,
		})
	}
	return explanation, err
}

// place finds an instance or a VPC on this host.
func (d *Deployment) place(id string) (fabric.Place, error) {
	vpcID, err := d.node.VPCOf(id)
	if err != nil {
		return fabric.Place{}, err
	}
	if strings.HasPrefix(id, "vpc-") {
		return fabric.Place{VPC: vpcID}, nil
	}
	return fabric.Place{VPC: vpcID, Instance: id}, nil
}
