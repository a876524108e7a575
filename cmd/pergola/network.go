package main

import (
	"flag"

	"pergola/fabric"
)

// networkFlag adds --network.
func networkFlag(set *flag.FlagSet) *string {
	return set.String("network", fabric.Auto, "`kind` of fabric: auto, netns or loopback")
}
