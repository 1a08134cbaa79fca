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

// defaultAPIVersion is the newest that both services' recorded traffic shows;
// a Managed HSM may lag behind the SDK's own default.
const defaultAPIVersion = "7.4"

// Config describes a client of vaults.
type Config struct {
	// HTTP carries the requests, bounded and retried. It must not be nil.
	HTTP *httpclient.Client
	// Roots are the CAs of release statements; nil means the system's.
	Roots *x509.CertPool
	// APIVersion of the data plane; "" means 7.4.
	APIVersion string
	// Now is the clock for certificates; nil means time.Now.
	Now func() time.Time
}

// Client asks vaults to release keys. It is safe for concurrent use.
type Client struct {
	transport  policy.Transporter
	apiVersion string
	roots      *x509.CertPool
	now        func() time.Time
}

// NewClient makes a client.
func NewClient(c Config) *Client {
	client := &Client{transport: c.HTTP.Transporter(), apiVersion: c.APIVersion, roots: c.Roots, now: c.Now}
	if client.now == nil {
		client.now = time.Now
	}
	return client
}

// Grant is what a vault wants to see.
type Grant struct {
	// Attestation is the Verifier's token.
	Attestation secmem.Text
	// Access is the token of an identity that may release the key, for the
	// audience of the [KeyID].
	Access secmem.Text
	// Seen are the statements that the attested KEK was used with. Nil is for a KEK that
	// serves one release.
	Seen *Statements
}

// inquiry is one question to a vault, to which the statement must answer.
type inquiry struct {
	id    KeyID
	enc   keywrap.Algorithm
	nonce string
}

// Release asks the vault for the key, in one request, and verifies the
// statement that comes back. It refuses with [refusal.ReleaseRejected],
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
		return nil, refusal.Newf(refusal.ReleaseRejected, "there is no access token, or no key, to ask a vault with")
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
