// Package entra emulates one tenant of Microsoft Entra ID, as far as workloads
// need it: OpenID configuration, signing keys, and the token endpoint for
// client credentials with a federated client assertion (AKS workload identity,
// pipelines of GitHub and GitLab), a certificate or a secret.
//
// A [Directory] issues RS256 access tokens and verifies them for the emulated
// vaults. It also issues the tokens of the managed identity endpoint in package
// imds. An emulated AKS cluster, [Cluster], signs the projected service account
// tokens that the federated credential trusts.
//
//	cluster, err := entra.NewCluster("https://oidc.aks.localhost/cluster/", nil)
//	directory, err := entra.New(entra.Config{Federation: cluster.Federation("default", "workload")})
//
// It has no users, no consent and no other grant. Sources: Microsoft identity
// platform, "OAuth 2.0 client credentials flow", "Application authentication
// certificate credentials", and "Access token claims reference"; AADSTS codes
// from "Microsoft Entra authentication and authorization error codes".
package entra

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"skr/test/rsakey"
)

const keyBits = 2048

// Config configures a directory.
type Config struct {
	// Tenant is the tenant's GUID; "" means a new one.
	Tenant string
	// Resources are the audiences for which tokens are issued, without a
	// trailing slash ("https://vault.azure.net").
	Resources []string
	// Workload is the application that the federated credential belongs to;
	// empty fields are generated.
	Workload Principal
	// Federation is the federated credential of Workload.
	Federation Federation
	// Secret is a client secret of Workload; "" means that it has none.
	Secret string
	// Certificate returns the certificate of Workload, whose key signs client
	// assertions. It is called when the first such assertion arrives; nil
	// means that Workload has none.
	Certificate func() (*x509.Certificate, error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Principal is the identity that a token represents.
type Principal struct {
	// AppID is the client id, a GUID.
	AppID string
	// ObjectID is the service principal's id, a GUID.
	ObjectID string
}

// Federation is a federated identity credential: the issuer, subject and
// audience that a client assertion must have, and the issuer's key.
type Federation struct {
	// Issuer and Subject are compared exactly.
	Issuer, Subject string
	// Audience is the required audience; "" means DefaultAudience.
	Audience string
	// Key verifies RS256 signatures.
	Key crypto.PublicKey
}

// DefaultAudience is the audience of projected tokens (Microsoft Entra Workload
// ID, "Workload identity federation").
const DefaultAudience = "api://AzureADTokenExchange"

// Directory is one tenant. It is safe for concurrent use.
type Directory struct {
	config Config
	key    *rsa.PrivateKey
	kid    string
	mux    *http.ServeMux
}

var _ http.Handler = (*Directory)(nil)

// New creates a tenant with a new signing key.
func New(c Config) (*Directory, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	for _, id := range []*string{&c.Tenant, &c.Workload.AppID, &c.Workload.ObjectID} {
		if *id == "" {
			*id = GUID()
		}
	}
	if c.Federation.Audience == "" {
		c.Federation.Audience = DefaultAudience
	}
	key, err := rsakey.Generate(keyBits)
	if err != nil {
		return nil, fmt.Errorf("entra: making the tenant's key: %w", err)
	}
	d := &Directory{config: c, key: key, kid: opaqueID(), mux: http.NewServeMux()}
	d.route()
	return d, nil
}

// SeenBy returns the directory with the clock of a resource that verifies
// tokens.
func (d *Directory) SeenBy(now func() time.Time) *Directory {
	seen := *d
	seen.config.Now = now
	return &seen
}

// Tenant returns the tenant's GUID.
func (d *Directory) Tenant() string { return d.config.Tenant }

// Workload returns the application of the federated credential.
func (d *Directory) Workload() Principal { return d.config.Workload }

// Issuer returns the iss claim of version 1.0 access tokens.
func (d *Directory) Issuer() string { return "https://sts.windows.net/" + d.config.Tenant + "/" }

// hasResource reports whether tokens are issued for resource, with or without a
// trailing slash.
func (d *Directory) hasResource(resource string) bool {
	return slices.Contains(d.config.Resources, strings.TrimSuffix(resource, "/"))
}

// GUID returns a new random identifier, RFC 9562 section 5.4.
func GUID() string {
	raw := make([]byte, 16)
	rand.Read(raw) // never fails, see crypto/rand
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	text := hex.EncodeToString(raw)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

func opaqueID() string {
	raw := make([]byte, 20)
	rand.Read(raw) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(raw)
}
