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

// systemRoots are where systems keep the certificates that they trust; the first that is there counts.
func systemRoots() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Arch, Gentoo
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL, Amazon Linux
		"/etc/pki/tls/certs/ca-bundle.crt",                  // older ones of these
		"/etc/ssl/ca-bundle.pem",                            // SUSE
		"/etc/ssl/cert.pem",                                 // Alpine, macOS, BSD
	}
}

// writeTrust makes the built-in authority, unless there is one, and writes it down with all that this process would trust:
// what the system trusts, and what the environment names.
func (c *Control) writeTrust(ctx context.Context) error {
	der, err := c.certificates.Authority(ctx)
	if err != nil {
		return fmt.Errorf("built-in certificate authority: %w", err)
	}
	c.authority = string(certificate.PEM(der))
	dir, err := filepath.Abs(c.cfg.Dir)
	if err != nil {
		return err
	}
	c.bundle = filepath.Join(dir, trustFile)
	bundle := bundleOf(readFirst(systemRoots()), nil)
	for _, v := range operator.TrustVariables(c.bundle) {
		bundle = bundleOf(bundle, readFirst([]string{os.Getenv(v.Name)}))
	}
	return replaceFile(c.bundle, bundleOf(bundle, []byte(c.authority)))
}

// bundleOf adds certificates to others, unless they are there already.
func bundleOf(bundle, more []byte) []byte {
	if more = bytes.TrimSpace(more); bytes.Contains(bundle, more) {
		return bundle
	}
	return slices.Concat(bundle, more, []byte("\n"))
}

// readFirst reads the first file that can be read.
func readFirst(paths []string) []byte {
	for _, path := range paths {
		if content, err := os.ReadFile(path); err == nil {
			return append(bytes.TrimSpace(content), '\n')
		}
	}
	return nil
}

// replaceFile writes a file that readers find whole, as it was or as it is now. One that is as it should be is left
// alone, for the disk may be full.
func replaceFile(path string, content []byte) error {
	if is, err := os.ReadFile(path); err == nil && bytes.Equal(is, content) {
		return nil
	}
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// trusting is the environment of a program that trusts the authority, as far as it has not chosen otherwise.
func (n *Node) trusting(env []string) []string {
	value := func(name string) string { return valueIn(env, name) }
	changed := slices.Clone(env)
	for _, v := range operator.Trust(n.bundle, value) {
		changed = slices.DeleteFunc(changed, func(set string) bool { return strings.HasPrefix(set, v.Name+"=") })
		changed = append(changed, v.Name+"="+v.Value)
	}
	return changed
}

// Authority returns the certificate of the built-in authority as PEM.
func (c *Control) Authority(context.Context) (string, error) { return c.authority, nil }
