// Package maa emulates an instance of Microsoft Azure Attestation, the Verifier
// of RFC 9334, for evidence of SEV-SNP, of Intel TDX and of virtual TPMs.
//
// The verification is real: the certificate chain, the signature of report or
// quote, the bound runtime data and the UVM endorsement are verified in the
// service's known order, and the token is signed with the key that /certs publishes.
// docs/emulator.md lists what Azure does and this package does not.
//
//	instance, err := maa.New(maa.Config{Issuer: "https://sharedeus.eus.attest.localhost:8443", Roots: roots})
//	http.Handle("/", instance)
//
// Sources: Azure REST API specifications, specification/attestation/data-plane,
// 2020-10-01 to 2025-06-01; Azure documentation, articles/attestation. A
// comment marks each claim and format that was only seen on the wire.
package maa

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/attest/vtpm"
)

// Config configures an instance.
type Config struct {
	// Issuer is "https://" and the host, without a trailing slash.
	Issuer string
	// Roots are the accepted AMD roots: AMD's own and emulated silicon's.
	Roots []*vcek.Roots
	// Endorses reports whether to accept a UVM endorsement's issuer and feed in
	// addition to Microsoft's own. Nil accepts no other.
	Endorses func(*uvm.Endorsement) bool
	// CompliantVM reports whether a measurement is on the list of Azure's
	// confidential virtual machines. Nil means an empty list.
	CompliantVM func(snp.Measurement) bool
	// TDX is for the evidence of Intel TDX.
	TDX TDX
	// AKRoots returns the authorities that may certify a TPM's attestation key
	// where only the certificate vouches for it. Nil means none.
	AKRoots func() []*vtpm.Roots
	// Policy is the text of the attestation policy that each type has at first; "" means
	// DefaultPolicy.
	Policy string
	// Authorize returns an error if the access token gives no right to read and change policies.
	// With nil, no token gives the right.
	Authorize func(token string) error
	// PolicyCertificates make the instance isolated: each policy must be signed with the key of one
	// of them. Without any, policies may be unsigned, or signed with any key
	// (azure-sdk-for-python, azure-security-attestation, samples/sample_get_set_policy.py).
	PolicyCertificates []*x509.Certificate
	// Claims2025 adds the claims that tokens have carried since 2025: chip
	// family, chip id and the younger bits of the guest policy.
	Claims2025 bool
	// Evidence returns the instance's own report over its signing key, in the
	// JSON form of a request's report, for the signing certificate. Nil means
	// none.
	Evidence func(snp.ReportData) ([]byte, error)
	// Forge returns the forgery for the next token. Nil means none.
	Forge func() Forgery
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Instance is one attestation provider with its own signing key.
type Instance struct {
	config   Config
	policies *policies
	key      *signingKey
	mux      *http.ServeMux

	certificates *certificates
}

var _ http.Handler = (*Instance)(nil)

// New creates an instance with a new signing key.
func New(c Config) (*Instance, error) {
	if !strings.HasPrefix(c.Issuer, "https://") || strings.HasSuffix(c.Issuer, "/") {
		return nil, errors.New("maa: the issuer must begin with https:// and not end in a slash")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Policy == "" {
		c.Policy = DefaultPolicy
	}
	rules, err := parsePolicy(c.Policy)
	if err != nil {
		return nil, err
	}
	key, err := newSigningKey(c.Issuer, c.Evidence, c.Now())
	if err != nil {
		return nil, err
	}
	i := &Instance{
		config: c, policies: &policies{initial: rules, changed: make(map[string]policy)}, key: key, mux: http.NewServeMux(),
		certificates: &certificates{list: c.PolicyCertificates},
	}
	i.route()
	return i, nil
}

func (i *Instance) route() {
	i.mux.HandleFunc("POST /attest/sevsnpvm", serveJSON(i.attest))
	i.mux.HandleFunc("POST /attest/tdxvm", serveJSON(i.attestTD))
	i.mux.HandleFunc("POST /attest/azureguest", serveJSON(i.attestGuest))
	i.mux.HandleFunc("POST /attest/{type}", serveJSON(i.otherType))
	i.mux.HandleFunc("GET /certs", serveJSON(i.certs))
	i.mux.HandleFunc("GET /.well-known/openid-configuration", serveJSON(i.discovery))
	i.mux.HandleFunc("GET /policies/{type}", serveJSON(i.managedType(i.getPolicy)))
	i.mux.HandleFunc("PUT /policies/{type}", serveJSON(i.managedType(i.setPolicy)))
	i.mux.HandleFunc("POST /policies/{type}", serveJSON(i.managedType(i.resetPolicy))) // {type}:reset
	i.mux.HandleFunc("GET /certificates", serveJSON(i.managed(i.getCertificates)))
	i.mux.HandleFunc("POST /certificates:add", serveJSON(i.managed(i.addCertificate)))
	i.mux.HandleFunc("POST /certificates:remove", serveJSON(i.managed(i.removeCertificate)))
	i.mux.HandleFunc("/", serveJSON(i.unknown))
}

// ServeHTTP ignores the case of paths: clients in use spell /attest/SevSnpVm in
// three ways, and the service accepts them all.
func (i *Instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	lower := r.Clone(r.Context())
	lower.URL.Path = strings.ToLower(r.URL.Path)
	lower.URL.RawPath = ""
	setServiceHeaders(w.Header())
	i.mux.ServeHTTP(w, lower)
}

func (i *Instance) otherType(r *http.Request) (any, error) {
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	return nil, refuse(codeInvalidOperation, "The emulator appraises SevSnpVm, TdxVm and AzureGuest, not %q.", r.PathValue("type"))
}

func (i *Instance) unknown(*http.Request) (any, error) {
	return nil, &problem{http.StatusNotFound, codeNotFound, "This path does not exist."}
}
