package operator

import (
	"bytes"
	"io"
	"os"
)

// TrustVariables are the variables by which programs learn which certificates to trust: those of OpenSSL and Go, curl,
// Python's requests and with it botocore, Node and gRPC.
func TrustVariables(bundle string) []Variable {
	return []Variable{
		{"SSL_CERT_FILE", bundle},
		{"CURL_CA_BUNDLE", bundle},
		{"REQUESTS_CA_BUNDLE", bundle},
		{"NODE_EXTRA_CA_CERTS", bundle},
		{"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", bundle},
	}
}

// awsBundle is the variable of the AWS tools. It is only replaced, never introduced: the API needs no trust, and programs
// that use the Go SDK with an HTTP client of their own fail when it is set.
const awsBundle = "AWS_CA_BUNDLE"

// Trust are the variables that an environment should be given so that its programs trust what is in the bundle. A variable
// that names a file with anything that the bundle does not have is somebody's choice, and stays.
func Trust(bundle string, value func(name string) string) (give []Variable) {
	var content []byte
	wanted := TrustVariables(bundle)
	if value(awsBundle) != "" {
		wanted = append(wanted, Variable{awsBundle, bundle})
	}
	for _, v := range wanted {
		chosen := value(v.Name)
		if chosen != "" && chosen != bundle {
			if content == nil {
				content = readRegular(bundle)
			}
			own := bytes.TrimSpace(readRegular(chosen))
			if len(own) == 0 || !bytes.Contains(content, own) {
				continue
			}
		}
		give = append(give, v)
	}
	return give
}

// maxTrust is how much of a file is read that somebody names; the certificates that systems trust are a twentieth of it.
const maxTrust = 4 << 20

// readRegular reads a file, if it is one and not too large.
func readRegular(path string) []byte {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxTrust+1))
	if err != nil || len(content) > maxTrust {
		return nil
	}
	return content
}
