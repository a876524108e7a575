package deployment

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"pergola/control/iam"
	"pergola/dataplane/explain"
	"pergola/fabric"
	"pergola/operator"
)

// account is an account that exists: the one that is named, or for "" the management account.
func (c *Control) account(ctx context.Context, named string) (string, error) {
	if named == "" {
		named = iam.ManagementAccount
	}
	exists, err := c.accounts.Exists(ctx, named)
	if err == nil && !exists {
		err = fmt.Errorf("account %s does not exist; aws organizations list-accounts tells which do, and "+
			"create-account makes one", named)
	}
	return named, err
}

// RegisterIssuer makes an issuer of web identities known to an account.
func (c *Control) RegisterIssuer(ctx context.Context, issuer operator.Issuer) (arn string, err error) {
	account, err := c.account(ctx, issuer.Account)
	if err != nil {
		return "", err
	}
	return c.keys.RegisterIssuer(ctx, account, iam.IssuerKeys{URL: issuer.URL, ClientIDs: issuer.Audiences,
		Keys: issuer.Keys})
}

// Environment returns what a client needs to call the API as the administrator of an account.
func (c *Control) Environment(ctx context.Context, account string) (operator.Environment, error) {
	account, err := c.account(ctx, account)
	if err != nil {
		return operator.Environment{}, err
	}
	credential, err := c.keys.Administrator(ctx, account)
	if err != nil {
		return operator.Environment{}, err
	}
	return operator.Environment{
		Endpoint: c.endpoint, Region: c.cfg.Region,
		AccessKeyID: credential.AccessKeyID, SecretAccessKey: credential.Secret, Bundle: c.bundle,
	}, nil
}

// Start runs a program in an instance, or in a short-lived instance of a VPC.
func (n *Node) Start(ctx context.Context, program operator.Program,
	streams operator.Streams) (operator.Process, error) {
	place, err := n.place(program.Place)
	if err != nil {
		return nil, err
	}
	return n.fabric.Start(ctx, place, fabric.Command{
		Args: program.Args, Env: n.trusting(n.calling(program.Env)), Dir: program.Dir, Terminal: program.Terminal,
		Stdin: streams.In, Stdout: streams.Out, Stderr: streams.Err,
	})
}

// Explain tells what would become of a request.
func (n *Node) Explain(_ context.Context, question operator.Question) (operator.Explanation, error) {
	header := http.Header{}
	for _, field := range question.Header {
		name, value, _ := strings.Cut(field, ":")
		header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	answer, err := n.node.Explain(question.From, explain.Question{
		As: question.As, Method: question.Method, URL: question.URL, Header: header,
	})
	explanation := operator.Explanation{Reason: answer.Reason, Cures: answer.Cures}
	for _, gate := range answer.Gates {
		explanation.Gates = append(explanation.Gates, operator.Gate{
			Name: gate.Name, Verdict: string(gate.Verdict), Detail: gate.Detail, More: gate.More,
		})
	}
	if since := n.store.Away(); !since.IsZero() {
		explanation.Reason += fmt.Sprintf(" (the control plane has been away since %s, and this is as the node last knew it)",
			since.Format(time.TimeOnly))
	}
	return explanation, err
}

// Examine looks for what is wrong with the deployment.
func (n *Node) Examine(context.Context) (findings []operator.Finding, err error) {
	found, err := n.node.Examine()
	for _, f := range found {
		findings = append(findings, operator.Finding(f))
	}
	return findings, err
}

// place finds an instance or a VPC on this host.
func (n *Node) place(id string) (fabric.Place, error) {
	vpcID, err := n.node.VPCOf(id)
	if err != nil {
		return fabric.Place{}, err
	}
	if strings.HasPrefix(id, "vpc-") {
		return fabric.Place{VPC: vpcID}, nil
	}
	return fabric.Place{VPC: vpcID, Instance: id}, nil
}
