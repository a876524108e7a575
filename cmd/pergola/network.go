package main

import (
	"flag"

	"pergola/fabric"
)

// networkFlag adds --network.
func networkFlag(set *flag.FlagSet) *string {
	return set.String("network", fabric.Auto, "`kind` of fabric: auto, netns or loopback")
}

// fabricName names a fabric, and says why it is not the better one.
func fabricName(f *fabric.Fabric) string {
	if f.Reason() == "" {
		return f.Name()
	}
	return f.Name() + " (" + f.Reason() + ")"
}
