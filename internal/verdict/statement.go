package verdict

import (
	"crypto/x509"
	"fmt"
	"time"

	"skr/hsm"
	"skr/internal/endpoint"
)

// OfStatement verifies a release statement of a vault. roots nil means the
// system's.
func OfStatement(s *hsm.Statement, vault endpoint.Host, roots *x509.CertPool, at time.Time) *Verdict {
	v := newVerdict(Statement, at)
	v.record(vaultHost, s.Key(), checkHost(s.Host(), vault))
	v.record(signer, "by "+vault.String(), s.VerifySignature(vault, roots, at))
	return v
}

func checkHost(said, vault endpoint.Host) error {
	if said != vault {
		return fmt.Errorf("the released key is on %s, want %s", said, vault)
	}
	return nil
}
