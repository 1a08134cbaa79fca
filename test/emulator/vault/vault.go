// Package vault emulates the data plane of Azure Key Vault and Managed HSM for
// keys: create, import, read, list, update, soft delete, use, and above all
// secure key release.
//
// A [Vault] is an [http.Handler] for one host. It keeps keys in memory, makes
// and uses them with real cryptography, verifies attestation tokens through
// the caller's verifier, evaluates release policies, wraps the key to the key
// in the token, and signs the release statement with a certificate chain. What
// it answers follows the Azure REST API specification (Key Vault data plane,
// api-version 7.3 to 7.6 and 2025-07-01) and, in the order of members, types,
// defaults and texts, the traffic that the Azure SDK for Go recorded; where
// neither says anything, a comment says UNCONFIRMED.
//
//	v, err := vault.New(vault.Config{Host: "demo.vault.localhost:8443", …})
//	server := &http.Server{Handler: v, TLSConfig: …}
//
// Differences from Azure: nothing outlives the process, no quotas and no
// throttling, no rotation, backup, restore, key attestation and no symmetric
// cryptography; a list ends without the empty pages that Azure inserts; keys
// are protected by nothing. It is for tests and never for secrets.
package vault

import (
	"context"
	"crypto"
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

// Flavour is which of the two services is emulated.
type Flavour = releasepolicy.Flavour

// The two services.
const (
	KeyVault   = releasepolicy.KeyVault
	ManagedHSM = releasepolicy.ManagedHSM
)

// Config describes a vault. Fields without a stated default are required.
type Config struct {
	// Host is the name, with the port unless it is 443, that key ids bear.
	Host string
	// Flavour is the service; zero is Key Vault.
	Flavour Flavour
	// StandardSKU makes a Key Vault without HSM keys and without key release.
	// Zero is the premium tier. Managed HSM has no tiers.
	StandardSKU bool
	// Resource is the audience of access tokens, "https://vault.azure.net" at
	// Azure. The challenge names it.
	Resource string
	// AuthorizationURL is the identity provider and tenant that the challenge
	// names, as "https://login.microsoftonline.com/<tenant>".
	AuthorizationURL string
	// Tenant is the tenant's id for the texts of denials; it may be empty.
	Tenant string
	// Region is for headers and texts; "" means "emulated".
	Region string
	// VerifyAccessToken verifies a bearer token for the resource. An error is
	// answered with 401.
	VerifyAccessToken func(token, resource string) (Caller, error)
	// Permissions says with an error that the caller may not act on the key of
	// that name, answered with 403. The action is Azure's data action, as
	// "Microsoft.KeyVault/vaults/keys/release/action". Nil allows everything.
	Permissions func(c Caller, action, name string) error
	// AccessPolicies words denials as vaults with access policies do, not as
	// those with role-based access control.
	AccessPolicies bool
	// ReachAuthority is asked before a policy that names the authority is
	// stored; an error is answered with AKV.SKR.1012. Azure fetches the
	// authority's OpenID configuration for it.
	ReachAuthority func(ctx context.Context, authority string) error
	// VerifyToken verifies an attestation token with the keys of the authority
	// (signature, issuer, times) and returns its claims, a JSON object.
	VerifyToken func(ctx context.Context, authority, token string) (json.RawMessage, error)
	// SigningKey signs release statements; an RSA key.
	SigningKey crypto.Signer
	// Chain goes into release statements: the certificate of SigningKey, whose
	// names must cover Host, then the issuing certificates and the root.
	Chain []*x509.Certificate
	// WithholdNonce leaves the nonce of a release request out of the
	// statement. Zero repeats it in "request". UNCONFIRMED: no public
	// recording sent a nonce, so either may be what Azure does.
	WithholdNonce bool
	// DeletionDelay is how long a deleted key is not yet found among the
	// deleted ones; at Azure some seconds. Zero means no time.
	DeletionDelay time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Defects is asked at each release what shall be wrong with it; nil means
	// nothing ever.
	Defects func() Defects
}

// Caller is who an access token speaks for.
type Caller struct {
	AppID    string // "appid" of the token
	ObjectID string // "oid" of the token
	Issuer   string // "iss" of the token; "" means the tenant's
}

// Vault is an emulated vault. Its methods may be called concurrently.
type Vault struct {
	config Config
	kid    string // of the signing key in a Managed HSM's statements

	mu      sync.Mutex
	keys    map[string]*key // by lower-case name, present
	deleted map[string]*key // by lower-case name, recoverable; disjoint from keys
}

var _ http.Handler = (*Vault)(nil)

// New makes an empty vault.
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
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("vault: configuring: %w", err)
	}
	return &Vault{
		config: c, kid: newGUID(),
		keys: make(map[string]*key), deleted: make(map[string]*key),
	}, nil
}

func (c *Config) check() error {
	switch {
	case c.Host == "":
		return errors.New("the Host is missing")
	case c.Resource == "" || c.AuthorizationURL == "":
		return errors.New("both Resource and AuthorizationURL are needed for the challenge")
	case c.VerifyAccessToken == nil:
		return errors.New("the function VerifyAccessToken is missing")
	case c.ReachAuthority == nil || c.VerifyToken == nil:
		return errors.New("both ReachAuthority and VerifyToken are needed for key release")
	case c.SigningKey == nil || len(c.Chain) == 0:
		return errors.New("both SigningKey and Chain are needed for release statements")
	}
	return c.checkIdentity()
}

func (c *Config) checkIdentity() error {
	public, ok := c.SigningKey.Public().(*rsa.PublicKey)
	if !ok {
		return errors.New("the SigningKey must be an RSA key, because statements are signed with RS256")
	}
	if !public.Equal(c.Chain[0].PublicKey) {
		return errors.New("the Chain does not begin with the certificate of SigningKey")
	}
	return c.Chain[0].VerifyHostname(c.hostname())
}

func (c *Config) hostname() string {
	if name, _, err := net.SplitHostPort(c.Host); err == nil {
		return name
	}
	return c.Host
}

// name is the vault's own name, the first label of its host.
func (v *Vault) name() string {
	name, _, _ := strings.Cut(v.config.Host, ".")
	return name
}

func (v *Vault) managedHSM() bool { return v.config.Flavour == ManagedHSM }

func (v *Vault) now() int64 { return v.config.Now().Unix() }
