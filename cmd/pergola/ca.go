package main

import (
	"context"
	"fmt"

	"pergola/operator"
)

func ca(ctx context.Context, c *command, args []string) (int, error) {
	set := c.flags()
	data := dataFlag(set)
	if err := c.parse(set, args); err != nil {
		return exitUsage, err
	}
	if err := noArguments(set); err != nil {
		return exitUsage, err
	}
	authority, err := operator.Authority(ctx, *data)
	if err != nil {
		return exitFailure, err
	}
	fmt.Print(authority)
	return exitSuccess, nil
}
