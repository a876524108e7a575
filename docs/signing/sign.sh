#!/bin/sh
# GET a URL of a service, signed by curl 7.88 or newer; the status comes after the body.
#
#   AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… AWS_REGION=… sh sign.sh URL
#
# The secrets go through a pipe, because everybody on a host can read the arguments of its programs.
set -eu
{
	printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
	if [ -n "${AWS_SESSION_TOKEN:-}" ]; then
		printf 'header = "x-amz-security-token: %s"\n' "$AWS_SESSION_TOKEN"
	fi
} | curl -sS --config - --aws-sigv4 "aws:amz:$AWS_REGION:vpc-lattice-svcs" \
	-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -w '%{http_code}\n' "$1"
