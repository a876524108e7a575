package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"pergola/deployment"
	"pergola/fabric"
	"pergola/functions"
)

func serve(ctx context.Context, c *command, args []string) (int, error) {
	set := c.flags()
	data := dataFlag(set)
	listen := set.String("listen", deployment.DefaultListen, "`address` of the API")
	region := set.String("region", deployment.DefaultRegion, "`region` in ARNs and names")
	network := networkFlag(set)
	etcd := set.String("etcd", "", "comma-separated `URLs` of an etcd to use instead of the embedded one")
	rate := set.Int("requests-per-second", 0, "how many requests each service takes in a second: 0 is the default of 10,000, -1 takes the limit away")
	lambdaEndpoint := set.String("lambda-endpoint", "", "`URL` of the Lambda API for target functions that are not of this deployment; signed with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, if these are set")
	unconfined := set.Bool("allow-unconfined-functions", false,
		"run functions also where nothing keeps them from the deployment's keys and sockets")
	localIssuers := set.Bool("allow-local-issuers", false,
		"fetch the keys of issuers of web identities from this host and from private networks too")
	quotas := map[string]int{}
	set.Func("quota", "`CODE=N` sets a quota of every account, by its code in Service Quotas; may be given several times",
		func(given string) error {
			code, number, _ := strings.Cut(given, "=")
			n, err := strconv.Atoi(number)
			if err != nil || n < 0 || !strings.HasPrefix(code, "L-") {
				return fmt.Errorf("%q is no quota; write it as L-F678F1CE=20", given)
			}
			quotas[code] = n
			return nil
		})
	if err := c.parse(set, args); err != nil {
		return exitUsage, err
	}
	if err := noArguments(set); err != nil {
		return exitUsage, err
	}
	if err := fabric.CheckKind(*network); err != nil {
		return exitFailure, err
	}
	if err := fabric.Enter(*network); err != nil {
		return exitFailure, err
	}
	return supervise(ctx, deployment.Config{
		Dir: *data, Listen: *listen, Region: *region, Network: *network, Etcd: urls(*etcd), RequestsPerSecond: *rate,
		LambdaEndpoint: *lambdaEndpoint, LambdaCredentials: ownCredentials(), AllowUnconfined: *unconfined,
		AllowLocalIssuers: *localIssuers, Quotas: quotas,
	}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// ownCredentials are those in the environment of this process.
func ownCredentials() functions.Credentials {
	return functions.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: os.Getenv("AWS_SESSION_TOKEN"),
	}
}

func urls(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
