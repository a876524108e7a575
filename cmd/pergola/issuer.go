package main

import (
	"context"
	"fmt"
	"os"

	"pergola/operator"
)

func issuer(ctx context.Context, c *command, args []string) (int, error) {
	set := c.flags()
	data := dataFlag(set)
	file := set.String("keys", "",
		"`file` with the issuer's JSON Web Key Set, as kubectl get --raw /openid/v1/jwks prints that of a cluster")
	account := set.String("account", "",
		"`ID` of the account whose roles may trust the issuer; the management account by default")
	var audiences []string
	set.Func("audience", "`name` that tokens must be for; may be given several times; sts.amazonaws.com by default",
		func(name string) error {
			audiences = append(audiences, name)
			return nil
		})
	if err := c.parse(set, args); err != nil {
		return exitUsage, err
	}
	switch {
	case set.NArg() != 1:
		return exitUsage, usagef("name the URL of one issuer, behind the flags")
	case *file == "":
		return exitUsage, usagef("--keys is missing: name the file with the issuer's keys")
	}
	keys, err := os.ReadFile(*file)
	if err != nil {
		return exitFailure, err
	}
	arn, err := operator.RegisterIssuer(ctx, *data, operator.Issuer{
		Account: *account, URL: set.Arg(0), Audiences: audiences, Keys: keys,
	})
	if err != nil {
		return exitFailure, err
	}
	fmt.Println(arn)
	return exitSuccess, nil
}
