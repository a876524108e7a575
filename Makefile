# make alone builds, lints and tests. Nothing but Go is needed.

FUZZTIME ?= 30s

# Every fuzz target, as package:target. A test fails for one that is not here.
FUZZ = \
	api:FuzzAWSJSON \
	api:FuzzCBOR \
	api:FuzzELBv2 \
	api:FuzzQuery \
	api:FuzzRESTJSON \
	api:FuzzRESTXML \
	api:FuzzRefuserFor \
	aws/acm:FuzzID \
	certificate:FuzzImport \
	certificate:FuzzMatches \
	control/acm:FuzzResume \
	aws/lambda:FuzzName \
	control/ec2:FuzzFilterValue \
	control/elbv2:FuzzAreCodes \
	control/elbv2:FuzzParts \
	aws/iam:FuzzReadKeys \
	aws/route53:FuzzParseName \
	aws/route53:FuzzRData \
	control/sts:FuzzWebToken \
	control:FuzzCheckDomainName \
	control/settling:FuzzNotes \
	control:FuzzResume \
	dataplane/access:FuzzParameter \
	dataplane/clienthello:FuzzClientHello \
	dataplane/http1:FuzzAssemble \
	dataplane/event:FuzzBody \
	dataplane/event:FuzzResponse \
	dataplane/event:FuzzTarget \
	dataplane/http1:FuzzChunks \
	dataplane/http1:FuzzRequest \
	dataplane/http1:FuzzResponse \
	dataplane/http2:FuzzClient \
	dataplane/http2:FuzzEncode \
	dataplane/http2:FuzzFrames \
	dataplane/http2:FuzzServer \
	dataplane/proxy:FuzzSmuggling \
	dns:FuzzAddressesIn \
	dns:FuzzAnswer \
	dns:FuzzParseResolvConf \
	dns:FuzzReadFrame \
	fabric:FuzzParseStat \
	fabric:FuzzProxyRequest \
	fabric:FuzzSOCKS \
	functions:FuzzTable \
	functions:FuzzZip \
	lattice:FuzzParseCodes \
	metadata:FuzzPath \
	metadata:FuzzToken \
	node:FuzzParseOrigin \
	policy:FuzzParse \
	policy:FuzzPattern \
	policy:FuzzWork \
	sealing:FuzzDecode \
	sealing:FuzzToken \
	sigv4:FuzzAuthorization \
	sigv4:FuzzPath \
	sigv4:FuzzQuery \
	sigv4:FuzzTimestamp \
	snapshot:FuzzApply \
	snapshot:FuzzHost \
	snapshot:FuzzPattern \


.PHONY: all build lint test race conformance fuzz bench bench-policy kills soak cross lines

all: build lint test

build:
	go build ./...

lint:
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	cd test/conformance && go vet ./...

test:
	go test ./...

race:
	go test -race ./...

# The test suites that others keep for the protocols, in a module of its own, which the targets above do not reach.
conformance:
	cd test/conformance && go test ./...

cross:
	GOOS=darwin GOARCH=arm64 go build ./... && GOOS=darwin GOARCH=arm64 go vet ./...

fuzz:
	@for entry in $(FUZZ); do \
		echo "$$entry"; \
		go test ./$${entry%%:*} -run '^$$' -fuzz "^$${entry##*:}\$$" -fuzztime $(FUZZTIME) || exit 1; \
	done

bench:
	go test ./... -run '^$$' -bench . -benchmem

# A module of its own, which the targets above do not reach.
bench-policy:
	cd bench/policy && go vet . && go test . && go run .

# A thousand kills of a writing server; go test does a few of them.
kills:
	PERGOLA_KILLS=1000 go test ./store ./test -run Kill -v -timeout 60m

# Half an hour of everything at once; go test takes half a minute of it.
soak:
	PERGOLA_SOAK=30m go test ./test/soak -v -timeout 60m

# Lines of the control plane, without tests and generated code, and the operations that they carry, by service.
lines:
	@for service in lattice:. acm:acm ec2:ec2 elbv2:elbv2 iam:iam lambda:lambda organizations:organizations route53:route53; do \
		files=$$(ls control/$${service##*:}/*.go | grep -v -e _test.go -e operations.go); \
		lines=$$(cat $$files | wc -l); \
		model=$$(ls aws/$${service%%:*}/model.json $${service%%:*}/model.json 2>/dev/null); \
		operations=$$(grep -c '^"[A-Za-z0-9]*": {"http"' $$model); \
		echo "$${service%%:*}: $$lines lines, $$operations operations, $$((lines / operations)) each"; \
	done
