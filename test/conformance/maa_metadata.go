package conformance

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"slices"

	"skr/internal/secmem"
)

// authorityChecks are the checks of an attestation service.
func authorityChecks() []check {
	return slices.Concat(metadataChecks(), policyChecks(), refusalChecks(), guestChecks(), tokenChecks())
}

const (
	certsPath     = "/certs"
	discoveryPath = "/.well-known/openid-configuration"
)

func metadataChecks() []check {
	return []check{
		{name: "OpenID configuration", source: specMAA + ", MetadataConfiguration_Get", run: discovery},
		{name: "signing keys", source: specMAA + ", SigningCertificates_Get", run: one(
			request{method: http.MethodGet, path: certsPath},
			want{
				status:  []int{http.StatusOK},
				members: "keys:list keys[].kid:string keys[].kty:string keys[].use:string keys[].alg:string keys[].x5c:list",
				headers: map[string]string{"Content-Type": `^application/(jwk\+)?json`},
			})},
		{name: "signing certificates", source: "real key sets of shared providers; kid as computed over them", run: signingCertificates},
		{name: "headers of the service", source: observed, run: one(
			request{method: http.MethodGet, path: certsPath},
			want{headers: map[string]string{"X-Ms-Request-Id": `^.{16,}$`, "X-Ms-Maa-Service-Version": `^\d+\.\d+`}})},
		{name: "unknown path", source: unconfirmed + "404 with the body of an error", run: one(
			request{method: http.MethodGet, path: "/no-such-path"}, want{status: []int{http.StatusNotFound}})},
		{name: "keys with another method", source: unconfirmed + "404 or 405", run: one(
			request{method: http.MethodDelete, path: certsPath}, want{status: []int{http.StatusNotFound, http.StatusMethodNotAllowed}})},
	}
}

func discovery(p *probe) error {
	base := "https://" + p.s.host
	got, err := p.ask(request{method: http.MethodGet, path: discoveryPath}, want{
		status: []int{http.StatusOK},
		members: "response_types_supported:list id_token_signing_alg_values_supported:list revocation_endpoint?:string " +
			"jwks_uri:string claims_supported:list issuer?:string",
		headers: map[string]string{"Content-Type": "^application/json"},
	})
	if err != nil {
		return err
	}
	p.expect("jwks_uri is /certs of this host; issuer, if it is there, is the host; RS256 is among the algorithms")
	algorithms := lookup(got.json, "id_token_signing_alg_values_supported[]")
	switch issuer := got.text("issuer"); {
	case got.text("jwks_uri") != base+certsPath:
		return p.differ("jwks_uri is not /certs of this host")
	case issuer != "" && issuer != base:
		return p.differ("issuer is not https:// and the host")
	case !slices.Contains(algorithms, any("RS256")):
		return p.differ("RS256 is not among the algorithms")
	}
	return nil
}

// signingCertificates compares the certificates of the keys: DER in base64, RSA, and for the instance's
// own keys a self-signed certificate in the instance's name and the kid that follows from the key.
func signingCertificates(p *probe) error {
	got, err := p.ask(request{method: http.MethodGet, path: certsPath}, want{status: []int{http.StatusOK}, members: "keys:list"})
	if err != nil {
		return err
	}
	p.expect("a certificate with an RSA key in each x5c; one is self-signed for https://HOST; its kid is base64 of SHA-256 of the PEM key and a zero byte")
	own := 0
	for _, key := range lookup(got.json, "keys[]") {
		leaf, ok := firstCertificate(key)
		if !ok {
			return p.differ("an x5c does not begin with a certificate in base64")
		}
		public, isRSA := leaf.PublicKey.(*rsa.PublicKey)
		if !isRSA || public.N.BitLen() < 2048 {
			return p.differ("a signing key is not RSA of at least 2048 bits")
		}
		if leaf.Subject.CommonName != "https://"+p.s.host || leaf.Subject.String() != leaf.Issuer.String() {
			continue
		}
		own++
		if kid, _ := lookup(key, "kid")[0].(string); kid != keyIDOf(leaf) {
			return p.differ("the kid of the instance's own key is not the hash of its PEM")
		}
	}
	if own == 0 {
		return p.differ("no certificate is self-signed for https:// and the host")
	}
	return nil
}

func firstCertificate(key any) (*x509.Certificate, bool) {
	chain := lookup(key, "x5c[]")
	if len(chain) == 0 || len(lookup(key, "kid")) == 0 {
		return nil, false
	}
	text, _ := chain[0].(string)
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	leaf, err := x509.ParseCertificate(der)
	return leaf, err == nil
}

// keyIDOf returns the kid of an instance's key: base64(SHA-256(PEM of the key, and a zero byte)).
func keyIDOf(leaf *x509.Certificate) string {
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: leaf.RawSubjectPublicKeyInfo})
	sum := sha256.Sum256(append(text, 0))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// policyChecks ask for management of policies without a role.
func policyChecks() []check {
	unauthorized := refused(http.StatusUnauthorized, "Unauthorized")
	get := request{method: http.MethodGet, path: "/policies/SevSnpVm", api: stableMAA}
	forged := get
	forged.token = secmem.NewText(forgedToken("https://attest.azure.net"))
	signers := get
	signers.path = "/certificates"
	return []check{
		{name: "policy without a token", source: docMAAError + ", 401", run: one(get, unauthorized)},
		{name: "policy with a forged token", source: docMAAError + ", 401", run: one(forged, unauthorized)},
		{name: "policy signers without a token", source: docMAAError + ", 401", run: one(signers, unauthorized)},
	}
}
