package hsm

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/internal/azure/httpclient"
	"skr/internal/jose/keywrap"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// defaultAPIVersion is the newest version in the recorded traffic of both services. A
// Managed HSM may not support the SDK's own default yet.
const defaultAPIVersion = "7.4"

// Config describes a client of vaults.
type Config struct {
	// HTTP sends the requests, with bounds and retries. It must not be nil.
	HTTP *httpclient.Client
	// Roots are the CAs of release statements; nil means the system's.
	Roots *x509.CertPool
	// APIVersion of the data plane; "" means 7.4.
	APIVersion string
	// Now is the clock for certificates; nil means time.Now.
	Now func() time.Time
}

// Client requests keys from vaults. It is safe for concurrent use.
type Client struct {
	transport  policy.Transporter
	apiVersion string
	roots      *x509.CertPool
	now        func() time.Time
}

// NewClient returns a client.
func NewClient(c Config) *Client {
	client := &Client{transport: c.HTTP.Transporter(), apiVersion: c.APIVersion, roots: c.Roots, now: c.Now}
	if client.now == nil {
		client.now = time.Now
	}
	return client
}

// Grant is what a vault requires to release a key.
type Grant struct {
	// Attestation is the Verifier's token.
	Attestation secmem.Text
	// Access is the access token of an identity that may release the key, for the
	// audience of the [KeyID].
	Access secmem.Text
	// Seen are the statements that the attested KEK was used with. Nil means that the
	// KEK is used for one release.
	Seen *Statements
}

// inquiry is one request to a vault, which the statement must answer.
type inquiry struct {
	id    KeyID
	enc   keywrap.Algorithm
	nonce string
}

// Release requests the key from the vault, in one request, and verifies the statement
// that the vault returns. It refuses with [refusal.ReleaseRejected],
// [refusal.KeyNotFound], [refusal.Untrusted], [refusal.Throttled],
// [refusal.Unavailable] or [refusal.Timeout].
func (c *Client) Release(ctx context.Context, id KeyID, g Grant) (*WrappedKey, error) {
	asked := inquiry{id: id, enc: keywrap.RSA256, nonce: rand.Text()}
	statement, err := c.ask(ctx, asked, g)
	if err != nil {
		return nil, err
	}
	return c.verify(asked, statement, g.Seen)
}

func (c *Client) ask(ctx context.Context, asked inquiry, g Grant) (string, error) {
	vault, err := c.connect(asked.id, g.Access)
	if err != nil {
		return "", err
	}
	target, enc := g.Attestation.Reveal(), azkeys.KeyEncryptionAlgorithm(asked.enc)
	answer, err := vault.Release(ctx, asked.id.name, asked.id.version,
		azkeys.ReleaseParameters{TargetAttestationToken: &target, Algorithm: &enc, Nonce: &asked.nonce}, nil)
	if err != nil {
		return "", refusedBy(asked.id, g, err)
	}
	if answer.Value == nil {
		return "", untrusted("the vault answered without a release statement", errors.New("member value is missing"))
	}
	return *answer.Value, nil
}

// connect returns a client of the SDK for the key's vault and one access token. It is used
// for one request: no client ever has the token of another caller.
func (c *Client) connect(id KeyID, access secmem.Text) (*azkeys.Client, error) {
	if id.host.IsZero() || access.IsZero() {
		return nil, refusal.Newf(refusal.ReleaseRejected, "there is no access token, or no key, for a request to a vault")
	}
	client, err := Connection{id.Vault(), access, c.transport, c.apiVersion}.Open()
	if err != nil {
		return nil, refusal.Because(refusal.Unavailable, "the vault's client cannot be made", err)
	}
	return client, nil
}

func untrusted(reason string, cause error) error {
	return refusal.Because(refusal.Untrusted, reason, cause)
}
