package main

import (
	"context"
	"fmt"

	"pergola/operator"
)

func doctor(ctx context.Context, c *command, args []string) (int, error) {
	set := c.flags()
	data := dataFlag(set)
	if err := c.parse(set, args); err != nil {
		return exitUsage, err
	}
	findings, err := operator.Examine(ctx, *data)
	if err != nil {
		return exitFailure, err
	}
	for _, f := range findings {
		fmt.Printf("%s: %s\n", f.About, f.Problem)
		for _, line := range f.Cures {
			fmt.Println("  - " + line)
		}
	}
	if len(findings) > 0 {
		fmt.Printf("%d findings\n", len(findings))
		return exitFailure, nil
	}
	fmt.Println("nothing found")
	return exitSuccess, nil
}
