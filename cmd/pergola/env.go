package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"pergola/operator"
)

func env(ctx context.Context, c *command, args []string) (int, error) {
	set := c.flags()
	data := dataFlag(set)
	account := set.String("account", "", "`id` of the account whose administrator to be; the management account if empty")
	format := set.String("format", "shell", "shell or json")
	if err := c.parse(set, args); err != nil {
		return exitUsage, err
	}
	if err := noArguments(set); err != nil {
		return exitUsage, err
	}
	if *format != "shell" && *format != "json" {
		return exitUsage, usagef("--format %q is neither shell nor json", *format)
	}
	environment, err := operator.Env(ctx, *data, *account)
	if err != nil {
		return exitFailure, err
	}
	if *format == "json" {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return exitSuccess, encoder.Encode(environment)
	}
	for _, variable := range environment.Variables() {
		export(variable)
	}
	for _, variable := range operator.Trust(environment.Bundle, os.Getenv) {
		export(variable)
	}
	return exitSuccess, nil
}

func export(v operator.Variable) {
	fmt.Printf("export %s='%s'\n", v.Name, strings.ReplaceAll(v.Value, "'", `'\''`))
}
