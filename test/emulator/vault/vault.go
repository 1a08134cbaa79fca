// Package vault emulates the data plane of Azure Key Vault and Managed HSM for
// keys: create, import, rotate, read, list, update, back up, restore, soft
// delete, use, and above all secure key release.
//
// A [Vault] is an [http.Handler] for one host. It keeps keys in memory, creates
// and uses them with real cryptography, verifies attestation tokens through the
// caller's verifier, evaluates release policies, wraps the key to the key in
// the token, and signs the release statement with a certificate chain. Its
// answers follow the Azure REST API specification (Key Vault data plane,
// api-version 7.3 to 7.6 and 2025-07-01). The order of members, types, defaults
// and texts follow the traffic that the Azure SDK for Go recorded. A comment
// says UNCONFIRMED where neither source has the answer.
//
//	v, err := vault.New(vault.Config{Host: "demo.vault.localhost:8443", …})
//	server := &http.Server{Handler: v, TLSConfig: …}
//
// Differences from Azure: nothing outlives the process; there are no quotas,
// or throttling; a rotation policy acts
// at the next request and sends no events; a list ends without the empty pages
// that Azure inserts; keys have no protection. Use it for tests and never for
// secrets.
package vault

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"skr/releasepolicy"
)

// Flavour is the emulated service.
type Flavour = releasepolicy.Flavour

// The two services.
const (
	KeyVault   = releasepolicy.KeyVault
	ManagedHSM = releasepolicy.ManagedHSM
)

// Config configures a vault. Fields without a stated default are required.
type Config struct {
	// Host is the host name in key ids, with the port unless it is 443.
	Host string
	// Flavour is the service; zero means Key Vault.
	Flavour Flavour
	// StandardSKU creates a Key Vault without HSM keys and key release. Zero
	// means the premium tier. Managed HSM has no tiers.
	StandardSKU bool
	// Resource is the audience of access tokens, "https://vault.azure.net" on
	// Azure. The challenge names it.
	Resource string
	// AuthorizationURL is the identity provider and tenant that the challenge
	// names, as "https://login.microsoftonline.com/<tenant>".
	AuthorizationURL string
	// Tenant is the tenant's id for the texts of denials; it may be empty.
	Tenant string
	// Region is used in headers and texts; "" means "emulated".
	Region string
	// VerifyAccessToken verifies a bearer token for the resource. An error is
	// answered with 401.
	VerifyAccessToken func(token, resource string) (Caller, error)
	// Permissions returns an error if the caller may not act on the key of that
	// name; the answer is 403. The action is Azure's data action, such as
	// "Microsoft.KeyVault/vaults/keys/release/action". Nil allows everything.
	Permissions func(c Caller, action, name string) error
	// AccessPolicies words denials as vaults with access policies do, instead
	// of those with role-based access control.
	AccessPolicies bool
	// ReachAuthority is called before a policy with that authority is stored.
	// An error is answered with AKV.SKR.1012. Azure fetches the authority's
	// OpenID configuration.
	ReachAuthority func(ctx context.Context, authority string) error
	// VerifyToken verifies an attestation token with the authority's keys
	// (signature, issuer, times) and returns its claims, a JSON object.
	VerifyToken func(ctx context.Context, authority, token string) (json.RawMessage, error)
	// SigningKey signs release statements; it must be an RSA key.
	SigningKey crypto.Signer
	// Chain is the certificate chain in release statements: the certificate of
	// SigningKey, whose names must cover Host, then the issuing certificates
	// and the root.
	Chain []*x509.Certificate
	// WithholdNonce omits the nonce of a release request from the statement.
	// Zero repeats it in "request". UNCONFIRMED: no public recording sent a
	// nonce, so Azure may do either.
	WithholdNonce bool
	// DeletionDelay is the time that a deletion, a recovery and a purge take to
	// complete in a Key Vault; some seconds on Azure. Zero means no delay.
	// Managed HSM has no delay.
	DeletionDelay time.Duration
	// PurgeProtection refuses to purge deleted keys, as a vault with purge
	// protection does.
	PurgeProtection bool
	// RecoverableDays is how long a deleted key can be recovered, from 7 to 90
	// days. Zero means 7.
	RecoverableDays int
	// BackupKey seals backups; 32 bytes. Vaults with the same key restore each
	// other's backups, as vaults of one subscription and geography or HSMs of
	// one security domain do. Nil means a new key.
	BackupKey []byte
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Defects returns the defects of the next release statement; nil means
	// none.
	Defects func() Defects
}

// Caller is the identity that an access token represents.
type Caller struct {
	AppID    string // "appid" of the token
	ObjectID string // "oid" of the token
	Issuer   string // "iss" of the token; "" means the tenant's
}

// Vault is an emulated vault. It is safe for concurrent use.
type Vault struct {
	config Config
	// partition vouches for the keys of a Managed HSM. It is made at first use.
	partition func() (*partition, error)
	kid       string // the signing key's id in a Managed HSM's statements

	mu      sync.Mutex
	keys    map[string]*key      // present keys, by lower-case name
	deleted map[string]*key      // recoverable keys, by lower-case name; disjoint from keys
	purged  map[string]time.Time // when a key was purged, by lower-case name
}

var _ http.Handler = (*Vault)(nil)

// New creates an empty vault.
func New(c Config) (*Vault, error) {
	if c.Region == "" {
		c.Region = "emulated"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Defects == nil {
		c.Defects = func() Defects { return Defects{} }
	}
	if c.Permissions == nil {
		c.Permissions = func(Caller, string, string) error { return nil }
	}
	if c.RecoverableDays == 0 {
		c.RecoverableDays = 7
	}
	if c.BackupKey == nil {
		c.BackupKey = make([]byte, 32)
		_, _ = rand.Read(c.BackupKey) // never fails
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("vault: configuring: %w", err)
	}
	return &Vault{
		config: c, kid: newGUID(),
		partition: sync.OnceValues(func() (*partition, error) { return newPartition(c.Now()) }),
		keys:      make(map[string]*key), deleted: make(map[string]*key), purged: make(map[string]time.Time),
	}, nil
}

func (c *Config) check() error {
	switch {
	case c.Host == "":
		return errors.New("a host is required")
	case c.Resource == "" || c.AuthorizationURL == "":
		return errors.New("the challenge needs Resource and AuthorizationURL")
	case c.VerifyAccessToken == nil:
		return errors.New("VerifyAccessToken is required")
	case c.ReachAuthority == nil || c.VerifyToken == nil:
		return errors.New("ReachAuthority and VerifyToken are required for key release")
	case c.SigningKey == nil || len(c.Chain) == 0:
		return errors.New("SigningKey and Chain are required for release statements")
	case c.RecoverableDays < 7 || c.RecoverableDays > 90:
		return errors.New("RecoverableDays must be from 7 to 90")
	case len(c.BackupKey) != 32:
		return errors.New("BackupKey must have 32 bytes")
	}
	return c.checkIdentity()
}

func (c *Config) checkIdentity() error {
	public, ok := c.SigningKey.Public().(*rsa.PublicKey)
	if !ok {
		return errors.New("SigningKey must be an RSA key: statements are signed with RS256")
	}
	if !public.Equal(c.Chain[0].PublicKey) {
		return errors.New("the chain must begin with the certificate of SigningKey")
	}
	return c.Chain[0].VerifyHostname(c.hostname())
}

func (c *Config) hostname() string {
	if name, _, err := net.SplitHostPort(c.Host); err == nil {
		return name
	}
	return c.Host
}

// name returns the vault's own name, the first label of its host.
func (v *Vault) name() string {
	name, _, _ := strings.Cut(v.config.Host, ".")
	return name
}

func (v *Vault) managedHSM() bool { return v.config.Flavour == ManagedHSM }

func (v *Vault) now() int64 { return v.config.Now().Unix() }
