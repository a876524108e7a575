package main

import (
	"context"
	"fmt"
	"strings"

	"pergola/operator"
)

// fields are the values of a flag that may be given several times.
type fields []string

func (f *fields) String() string { return strings.Join(*f, ", ") }

func (f *fields) Set(value string) error {
	if name, _, ok := strings.Cut(value, ":"); !ok || name == "" {
		return fmt.Errorf("%q is no field; write it as NAME: VALUE", value)
	}
	*f = append(*f, value)
	return nil
}

func explain(ctx context.Context, c *command, args []string) (int, error) {
	set := c.flags()
	data := dataFlag(set)
	from := set.String("from", "", "`instance or VPC` that the request comes from")
	as := set.String("as", "", "`ARN` of the user, the role or the session that is taken to have signed")
	anonymous := set.Bool("anonymous", false, "nobody has signed; the default without --as")
	var header fields
	set.Var(&header, "header", "`field` of the request, as NAME: VALUE; may be given several times")
	if err := c.parse(set, args); err != nil {
		return exitUsage, err
	}
	switch {
	case set.NArg() != 2:
		return exitUsage, usagef("name a method and a URL")
	case *from == "":
		return exitUsage, usagef("--from is missing: name an instance or a VPC")
	case *anonymous && *as != "":
		return exitUsage, usagef("--as and --anonymous exclude each other")
	}
	explanation, err := operator.Explain(ctx, *data, operator.Question{
		From: *from, As: *as, Method: set.Arg(0), URL: set.Arg(1), Header: header,
	})
	if err != nil {
		return exitFailure, err
	}
	for _, gate := range explanation.Gates {
		fmt.Printf("%-4s  %-22s %s\n", gate.Verdict, gate.Name, gate.Detail)
		for _, line := range gate.More {
			fmt.Printf("%30s%s\n", "", line)
		}
	}
	fmt.Println(explanation.Reason)
	for _, line := range explanation.Cures {
		fmt.Println("  - " + line)
	}
	return exitSuccess, nil
}
