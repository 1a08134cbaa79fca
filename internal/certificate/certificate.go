// Package certificate checks what crypto/x509 leaves to its caller.
package certificate

import (
	"crypto/x509"
	"errors"
)

// CheckSigner checks that the key of leaf, the end of a certificate chain, may sign statements.
// leaf must not be an authority, whose key is for certificates, and its key usage, if present,
// must include digital signature (RFC 5280 section 4.2.1.3).
func CheckSigner(leaf *x509.Certificate) error {
	if leaf.IsCA {
		return errors.New("the leaf is a certificate authority")
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return errors.New("the leaf's key usage lacks digital signature")
	}
	return nil
}
