package emulator

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"skr/attest/uvm"
	"skr/test/emulator/arm"
	"skr/test/emulator/entra"
	"skr/test/emulator/imds"
	"skr/test/emulator/maa"
	"skr/test/emulator/vault"
)

// Services as fault rules and request counters name them. A rule or count for
// "maa" includes everything below it.
const (
	ServiceMAA        = "maa"           // any request to Azure Attestation
	ServiceAttest     = "maa/attest"    // POST /attest/…
	ServiceMAACerts   = "maa/certs"     // GET /certs
	ServiceMAAConfig  = "maa/discovery" // GET /.well-known/openid-configuration
	ServiceVault      = "vault"         // any request to a Key Vault
	ServiceRelease    = "vault/release" // POST …/release
	ServiceVaultKeys  = "vault/keys"    // other requests to a Key Vault
	ServiceHSM        = "managedhsm"    // any request to a Managed HSM
	ServiceHSMRelease = "managedhsm/release"
	ServiceHSMKeys    = "managedhsm/keys"
	ServiceEntra      = "entra" // any request to Entra ID
	ServiceEntraToken = "entra/token"
	ServiceEntraOther = "entra/discovery" // OpenID configuration and keys
	ServiceARM        = "arm"             // any request to Azure Resource Manager
	ServiceIMDS       = "imds"            // any request to IMDS
	ServiceTHIM       = "imds/thim"       // AMD certificates
	ServiceIdentity   = "imds/token"      // managed identity
	ServiceProxy      = "proxy"           // any request to the host's proxy
	ServiceProxyTHIM  = "proxy/thim"      // AMD certificates
	ServiceReport     = "report"          // the report sockets
	ServiceKDS        = "kds"             // AMD's Key Distribution Service
	ServiceAzureCache = "azure-cache"     // Azure's public cache of AMD's certificates
	ServiceQuote      = "imds/quote"      // quotes of an Intel host
	ServicePCS        = "pcs"             // Intel's collateral, and its list of revoked authorities
	ServicePCCS       = "azure-cache/collateral"
	ServiceRegionTHIM = "thim" // THIM of a region, a cache of Intel's collateral
)

// listen opens the listeners. Names and files need their ports.
func (c *Cloud) listen() (err error) {
	if c.tls, err = c.open(c.config.Listen); err != nil {
		return err
	}
	if c.imds, err = c.open(c.config.IMDSListen); err != nil {
		return err
	}
	c.hosts, err = newRegistry(c.config.ExtraHosts, c.tls.port(), c.build)
	return err
}

func (c *Cloud) open(address string) (*server, error) {
	listen := listenLoopback
	if c.config.InternalNetwork {
		listen = listenInternal
	}
	s, err := listen(c.running, address)
	if err != nil {
		return nil, err
	}
	return s, c.own(s)
}

func (c *Cloud) serve() error {
	c.tls.http.IdleTimeout, c.imds.http.IdleTimeout = c.config.IdleTimeout, c.config.IdleTimeout
	c.tls.http.TLSConfig = tlsConfig(c.certificate)
	c.imds.listener = c.faults.Listener(ServiceIMDS, c.imds.listener)
	c.tls.serve(c.running, c.wrap(c.serviceOf, c.hosts), c.config.Log)
	c.imds.serve(c.running, c.wrap(imdsService, imds.New(c.silicon, identities{c}, c.intel)), c.config.Log)
	return nil
}

// build creates the service of a virtual host.
func (c *Cloud) build(v virtual) (http.Handler, error) {
	switch v.kind {
	case kindMAA:
		return c.buildMAA(v)
	case kindVault:
		return c.buildVault(v, vault.KeyVault)
	case kindHSM:
		return c.buildVault(v, vault.ManagedHSM)
	case kindKDS:
		return c.silicon.keyDistribution(), nil
	case kindAzureCache:
		return c.silicon.azureCache(c.intel.collateralService(ServicePCCS)), nil
	case kindARM:
		return c.buildARM(), nil
	case kindPCS, kindTHIM:
		return c.intel.collateralService(string(v.kind)), nil
	default:
		return c.directory, nil
	}
}

func (c *Cloud) buildMAA(v virtual) (http.Handler, error) {
	var certificates []*x509.Certificate
	if c.config.PolicyCertificates != nil {
		certificates = c.config.PolicyCertificates(v.name)
	}
	return maa.New(maa.Config{
		Issuer:      c.hosts.url(v.name),
		Roots:       c.silicon.roots,
		Endorses:    c.endorses,
		CompliantVM: c.compliantVM,
		TDX:         maa.TDX{Roots: c.intel.roots, Collateral: c.intel.collateral, Compliant: c.compliantTD},
		AKRoots:     c.akRoots,
		Policy:      c.config.AttestationPolicy,

		PolicyCertificates: certificates,
		Authorize: func(token string) error {
			_, err := c.directory.SeenBy(c.clock(ServiceMAA)).VerifyAccessToken(token, attestationResource)
			return err
		},
		Claims2025: c.config.Claims2025,
		Evidence:   c.silicon.evidence,
		Forge:      func() maa.Forgery { return maa.Forgery(c.faults.Forgery(ServiceAttest)) },
		Now:        c.clock(ServiceMAA),
	})
}

func (c *Cloud) buildARM() http.Handler {
	return arm.New(func(token string) error {
		_, err := c.directory.SeenBy(c.clock(ServiceARM)).VerifyAccessToken(token, managementResource)
		return err
	})
}

// endorses accepts the cloud's own endorser. The feed is checked elsewhere.
func (c *Cloud) endorses(e *uvm.Endorsement) bool { return e.Issuer() == c.endorser.Issuer() }

func (c *Cloud) buildVault(v virtual, flavour vault.Flavour) (http.Handler, error) {
	signer, err := c.authority.StatementSigner(statementNames(v)...)
	if err != nil {
		return nil, err
	}
	chain, err := parseChain(signer.Chain)
	if err != nil {
		return nil, err
	}
	now := c.clock(string(v.kind))
	relying := &relyingParty{client: c.client, now: now}
	config := vault.Config{
		Host:              strings.TrimPrefix(c.hosts.url(v.name), "https://"),
		Flavour:           flavour,
		Resource:          c.hosts.url(v.service),
		AuthorizationURL:  c.loginURL() + "/" + c.directory.Tenant(),
		Tenant:            c.directory.Tenant(),
		VerifyAccessToken: c.verifyCaller(now),
		ReachAuthority:    relying.reach,
		VerifyToken:       relying.verify,
		SigningKey:        signer.Key,
		Chain:             chain,
		BackupKey:         c.backupKey,
		Defects:           func() vault.Defects { return c.defects(c.faults.Forgery(string(v.kind) + "/release")) },
		Now:               now,
	}
	if c.config.Vaults != nil {
		c.config.Vaults(v.name, &config)
	}
	return vault.New(config)
}

// statementNames returns the names in the certificate of a release statement,
// as in real ones: a vault's certificate has the name of the service, a Managed
// HSM's has its own name.
func statementNames(v virtual) []string {
	if v.kind == kindVault {
		return []string{v.service, "*." + v.service}
	}
	return []string{v.name, "*." + v.name}
}

func parseChain(ders [][]byte) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, 0, len(ders))
	for _, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

// verifyCaller returns a function that verifies access tokens by the vault's
// clock.
func (c *Cloud) verifyCaller(now func() time.Time) func(token, resource string) (vault.Caller, error) {
	directory := c.directory.SeenBy(now)
	return func(token, resource string) (vault.Caller, error) {
		who, err := directory.VerifyAccessToken(token, resource)
		if err != nil {
			return vault.Caller{}, err
		}
		return vault.Caller{AppID: who.AppID, ObjectID: who.ObjectID, Issuer: directory.Issuer()}, nil
	}
}

// loginURL returns the authority host for challenges: the real name if the
// cloud poses as it.
func (c *Cloud) loginURL() string {
	if c.hosts.allowed(loginAzure) {
		return c.hosts.url(loginAzure)
	}
	return c.hosts.url(loginLocal)
}

// serviceOf returns the service of a request to the TLS listener.
func (c *Cloud) serviceOf(r *http.Request) string {
	v, _ := c.hosts.find(hostName(r))
	path := strings.ToLower(r.URL.Path)
	switch v.kind {
	case kindMAA:
		return attestationService(path)
	case kindVault, kindHSM:
		if strings.HasSuffix(path, "/release") {
			return string(v.kind) + "/release"
		}
		return string(v.kind) + "/keys"
	case kindAzureCache:
		if !strings.HasPrefix(r.URL.Path, azureCachePath) {
			return ServicePCCS
		}
		return string(v.kind)
	case kindKDS, kindPCS, kindTHIM, kindARM:
		return string(v.kind)
	case kindEntra:
		if strings.HasSuffix(path, "/token") {
			return ServiceEntraToken
		}
		return ServiceEntraOther
	}
	return "unknown"
}

func attestationService(path string) string {
	switch {
	case strings.HasPrefix(path, "/attest/"):
		return ServiceAttest
	case path == "/certs":
		return ServiceMAACerts
	case strings.HasPrefix(path, "/.well-known/"):
		return ServiceMAAConfig
	}
	return ServiceMAA + "/other"
}

func imdsService(r *http.Request) string {
	switch r.URL.Path {
	case imds.CertificationPath:
		return ServiceTHIM
	case imds.TokenPath, imds.TokenPath + "/":
		return ServiceIdentity
	case imds.QuotePath:
		return ServiceQuote
	}
	return ServiceIMDS + "/other"
}

// identities are the managed identities of every machine: a system-assigned
// identity and, by one of its names, the workload's.
type identities struct{ cloud *Cloud }

var _ imds.Identities = identities{}

func (i identities) ManagedIdentityToken(resource string, of imds.Identity) (imds.Token, error) {
	who, found := i.find(of)
	if !found {
		return imds.Token{}, imds.ErrNoIdentity
	}
	token, err := i.cloud.directory.Issue(resource, who)
	if errors.Is(err, entra.ErrUnknownResource) {
		return imds.Token{}, imds.ErrUnknownResource
	}
	if err != nil {
		return imds.Token{}, err
	}
	return imds.Token{Value: token.Value, ClientID: who.AppID, NotBefore: token.NotBefore, Expires: token.Expires}, nil
}

func (i identities) find(of imds.Identity) (entra.Principal, bool) {
	system, workload := i.cloud.system, i.cloud.directory.Workload()
	switch {
	case of == imds.Identity{}, named(of, system):
		return system, true
	case named(of, workload), strings.EqualFold(of.ResourceID, WorkloadResource):
		return workload, true
	}
	return entra.Principal{}, false
}

// named reports whether the principal has one of the names.
func named(of imds.Identity, who entra.Principal) bool {
	return of.ClientID != "" && strings.EqualFold(of.ClientID, who.AppID) ||
		of.ObjectID != "" && strings.EqualFold(of.ObjectID, who.ObjectID)
}
