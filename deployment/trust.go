package deployment

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pergola/certificate"
	"pergola/operator"
)

// trustFile is the name, in the data directory, of the certificates that programs in instances trust.
const trustFile = "ca-bundle.pem"

// systemRoots are where systems keep the certificates that they trust; the first that is there counts. A process that
// has SSL_CERT_FILE trusts what that names.
func systemRoots() []string {
	return []string{
		os.Getenv("SSL_CERT_FILE"),
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Arch, Gentoo
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL, Amazon Linux
		"/etc/pki/tls/certs/ca-bundle.crt",                  // older ones of these
		"/etc/ssl/ca-bundle.pem",                            // SUSE
		"/etc/ssl/cert.pem",                                 // Alpine, macOS, BSD
	}
}

// writeTrust makes the built-in authority, unless there is one, and writes it down with all that the system trusts.
func (d *Deployment) writeTrust(ctx context.Context) error {
	der, err := d.certificates.Authority(ctx)
	if err != nil {
		return fmt.Errorf("built-in certificate authority: %w", err)
	}
	d.authority = string(certificate.PEM(der))
	dir, err := filepath.Abs(d.cfg.Dir)
	if err != nil {
		return err
	}
	d.bundle = filepath.Join(dir, trustFile)
	return replaceFile(d.bundle, bundleOf(readFirst(systemRoots()), []byte(d.authority)))
}

// bundleOf adds the authority to what is trusted anyway.
func bundleOf(roots, authority []byte) []byte {
	if bytes.Contains(roots, authority) { // the bundle of an earlier start, by way of SSL_CERT_FILE
		return roots
	}
	if len(roots) > 0 && roots[len(roots)-1] != '\n' {
		roots = append(roots, '\n')
	}
	return append(roots, authority...)
}

// readFirst reads the first file that can be read. Without any there are no roots but the authority.
func readFirst(paths []string) []byte {
	for _, path := range paths {
		if content, err := os.ReadFile(path); err == nil {
			return content
		}
	}
	return nil
}

// replaceFile writes a file that readers find whole, as it was or as it is now.
func replaceFile(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// trusting adds to the environment of a program what makes it trust the authority, where the program has not chosen
// otherwise.
func (d *Deployment) trusting(env []string) []string {
	env = slices.Clone(env)
	for _, v := range operator.TrustVariables(d.bundle) {
		if !slices.ContainsFunc(env, func(set string) bool { return strings.HasPrefix(set, v.Name+"=") }) {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	return env
}

// Authority returns the certificate of the built-in authority as PEM.
func (d *Deployment) Authority(context.Context) (string, error) { return d.authority, nil }
