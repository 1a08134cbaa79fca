package verify

import (
	"crypto/x509"
	"fmt"
	"slices"

	"skr/hsm"
	"skr/internal/azure/endpoint"
	"skr/internal/operator/inspect"
)

// OfStatement verifies a release statement of a vault. Nil roots means the system's.
func OfStatement(s *hsm.Statement, vault endpoint.Host, roots *x509.CertPool, q Question) *Verdict {
	v := newVerdict(Statement, q.At, slices.Concat(plan{contents, vaultHost, signer}, q.plan())...)
	v.checkContents(q.Parts, false, inspect.ReleaseStatement)
	v.record(vaultHost, s.Key(), checkHost(s.Host(), vault))
	v.record(signer, "by "+vault.String(), s.VerifySignature(vault, roots, q.At))
	return v.finish("the wrapped key", "whether it is the key, the version and the nonce that you asked for")
}

func checkHost(said, vault endpoint.Host) error {
	if said != vault {
		return fmt.Errorf("the released key is on %s, want %s", said, vault)
	}
	return nil
}
