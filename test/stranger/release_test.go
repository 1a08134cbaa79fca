package stranger

import (
	"crypto/elliptic"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// variant is a world that differs in one thing that the public formats leave open. Every
// variant must release the key.
type variant struct {
	name    string
	bend    func(*world)
	request object
}

func (v variant) release(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if v.bend != nil {
		v.bend(w)
	}
	w.wantRelease(t, w.start(t), v.request)
}

// wantRelease requests the key and uses it. Only the named vault may have received the
// access token, and the log must not have the key.
func (w *world) wantRelease(t *testing.T, s *sidecar, changes object) {
	t.Helper()
	from, server := w.vault, "vault"
	if changes["akv_endpoint"] == hsmName {
		from, server = w.hsm, "hsm"
	}
	body := s.post(t, "/key/release", releaseRequest(changes)).wantOK(t).body
	from.key.check(t, parseKey(t, body))
	w.wantTokenOnlyAt(t, server)
	if strings.Contains(s.log.String(), from.key.private) {
		t.Error("the log holds the released key")
	}
}

// TestRequest varies the caller's request.
func TestRequest(t *testing.T) {
	for _, v := range []variant{
		{name: "as documented"},
		{name: "key with version", request: object{"kid": "k1/" + keyVersion}},
		{name: "https before the endpoints", request: object{"maa_endpoint": authorityURL, "akv_endpoint": "https://" + vaultName}},
		{name: "URLs as endpoints", request: object{"maa_endpoint": authorityURL + "/", "akv_endpoint": "https://" + vaultName + "/"}},
		{name: "managed HSM", request: object{"akv_endpoint": hsmName}},
		{name: "managed HSM, key with version", request: object{"akv_endpoint": hsmName, "kid": "k1/" + keyVersion}},
	} {
		t.Run(v.name, v.release)
	}
}

// TestSilicon varies the report and the certificates.
func TestSilicon(t *testing.T) {
	endorsed := func(bend func(*world, *silicon)) func(*world) { return func(w *world) { bend(w, milan()) } }
	for _, v := range []variant{
		{name: "report version 2", bend: func(w *world) { w.report.version = 2 }},
		{name: "report version 3", bend: func(w *world) { w.report.version = 3 }},
		{name: "report version 5", bend: func(w *world) { w.report.version = 5 }},
		{name: "report in upper case", bend: func(w *world) { w.report.upper = true }},
		{name: "tcbm in lower case", bend: func(w *world) { w.thim.document["tcbm"] = strings.ToLower(w.thim.document["tcbm"].(string)) }},
		{name: "tcbm of another TCB", bend: func(w *world) { w.thim.document["tcbm"] = "DA18000000000004" }},
		{name: "chain with CRLF", bend: func(w *world) { w.thim.each(crlf) }},
		{name: "chain without a final line break", bend: func(w *world) { w.thim.each(strings.TrimSpace) }},
		{name: "no cacheControl", bend: func(w *world) { delete(w.thim.document, "cacheControl") }},
		{name: "roots with CRLF", bend: func(w *world) { w.roots = crlf(w.roots) }},
		{name: "roots after the ASK", bend: func(w *world) { w.roots = pemOf(milan().ask) + w.roots }},
		{name: "roots before the ASK, CRLF", bend: func(w *world) { w.roots = crlf(w.roots + pemOf(milan().ask)) }},
		{name: "product Milan-B1, extensions in another order", bend: endorsed(func(w *world, s *silicon) {
			template := vcekTemplate("Milan-B1", chipTCB, s.chip)
			slices.Reverse(template.ExtraExtensions)
			w.thim.document["vcekCert"] = pemOf(s.endorse(template))
		})},
		{name: "certificates from the host", bend: func(w *world) {
			w.env = []string{"UVM_HOST_AMD_CERTIFICATE=" + base64.StdEncoding.EncodeToString([]byte(encode(w.thim.document)))}
			w.thim.before = status(http.StatusNotFound)
		}},
		{name: "AMD for a host without certificates", bend: func(w *world) { w.archive.kds, w.thim.before = true, status(http.StatusNotFound) }},
		{name: "AMD for a host with certificates of another TCB", bend: endorsed(func(w *world, s *silicon) {
			w.archive.kds = true
			w.thim.document["tcbm"] = "DA18000000000004"
			w.thim.document["vcekCert"] = pemOf(s.endorse(vcekTemplate("Milan-B0", 0xDA18000000000004, s.chip)))
		})},
		{name: "Azure's cache", bend: func(w *world) {
			w.archive.cache = true
			w.certcache = object{"endpoint_type": "AzCache", "endpoint": cacheName, "tee_type": "SevSnpVM", "api_version": "api-version=2020-10-15-preview"}
		}},
	} {
		t.Run(v.name, v.release)
	}
}

// TestAuthority varies the attestation service.
func TestAuthority(t *testing.T) {
	list := func(jwks object) []object { return jwks["keys"].([]object) }
	for _, v := range []variant{
		{name: "n and e beside x5c", bend: func(w *world) {
			w.authority.keys = func(jwks object) {
				list(jwks)[0]["n"], list(jwks)[0]["e"] = b64url(vaultIdentity().key.N.Bytes()), "AQAB"
				list(jwks)[1]["n"], list(jwks)[1]["e"] = b64url(w.authority.key.N.Bytes()), "AQAB"
			}
		}},
		{name: "keys of unused kinds", bend: func(w *world) {
			w.authority.keys = func(jwks object) {
				jwks["keys"] = append([]object{
					{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "ec"}, {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
				}, list(jwks)...)
			}
		}},
		{name: "keys without use and alg", bend: func(w *world) {
			w.authority.keys = func(jwks object) {
				for _, key := range list(jwks) {
					delete(key, "use")
					delete(key, "alg")
				}
			}
		}},
		{name: "discovery without issuer", bend: func(w *world) {
			w.authority.discovery = func(document object) { delete(document, "issuer") }
		}},
		{name: "a slightly fast clock", bend: func(w *world) {
			w.authority.claims = func(claims object) {
				soon := time.Now().Add(30 * time.Second).Unix()
				claims["iat"], claims["nbf"] = soon, soon
			}
		}},
		{name: "claims of its policy", bend: func(w *world) {
			w.authority.claims = func(claims object) {
				claims["x-ms-policy"] = object{"team": "payments"}
				claims["x-ms-policy-hash"] = "9NY0VnTQ-IiBriBplVUpFbczcDaEBUwsiFYAzHu_gco"
				claims["x-ms-compliance-status"] = "azure-compliant-uvm"
			}
		}},
	} {
		t.Run(v.name, v.release)
	}
}

// TestVault varies the key and the statement around it.
func TestVault(t *testing.T) {
	keys := []struct {
		name string
		key  vaultKey
	}{
		{"RSA 3072", rsa3072Key()}, {"RSA 4096", rsa4096Key()},
		{"P-256", newECKey(elliptic.P256())}, {"P-384", newECKey(elliptic.P384())}, {"P-521", newECKey(elliptic.P521())},
		{"P-256, explicit parameters", newBareECKey("P-256", nist(elliptic.P256()), nist(elliptic.P256()).explicit())},
		{"P-256K", newBareECKey("P-256K", secp256k1(), named(1, 3, 132, 0, 10))},
		{"P-256K, explicit parameters", newBareECKey("P-256K", secp256k1(), secp256k1().explicit())},
		{"oct 128", newOctKey(16)}, {"oct 192", newOctKey(24)}, {"oct 256", newOctKey(32)},
	}
	var variants []variant
	for _, k := range keys {
		variants = append(variants,
			variant{name: k.name, bend: func(w *world) { w.vault.key = k.key }},
			variant{name: k.name + ", managed HSM", bend: func(w *world) { w.hsm.key = k.key }, request: object{"akv_endpoint": hsmName}})
	}
	state := func(bend func(object)) func(*world) { return func(w *world) { w.vault.statement = bend } }
	for _, v := range append(variants, []variant{
		{name: "nonce echoed", bend: func(w *world) { w.vault.echoNonce = true }},
		{name: "exponent with leading zeros", bend: state(func(s object) { releasedJWK(s)["e"] = "AAEAAQ" })},
		{name: "tags", bend: state(func(s object) { released(s)["tags"] = object{"team": "payments"} })},
		{name: "attributes of later versions", bend: state(func(s object) {
			released(s)["attributes"].(object)["hsmPlatform"] = "2"
			released(s)["attributes"].(object)["attestation"] = object{"version": "1"}
		})},
		{name: "x5c without the root", bend: func(w *world) {
			w.vault.header = func(header object) { header["x5c"] = vaultIdentity().x5c()[:2] }
		}},
	}...) {
		t.Run(v.name, v.release)
	}
}

// TestTransport varies the properties of the connection.
func TestTransport(t *testing.T) {
	for name, set := range map[string]func(*httptest.Server){
		"HTTP/2":        func(s *httptest.Server) { s.EnableHTTP2 = true },
		"TLS 1.2":       func(s *httptest.Server) { s.TLS.MaxVersion = tls.VersionTLS12 },
		"no keep-alive": func(s *httptest.Server) { s.Config.SetKeepAlivesEnabled(false) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, set)
			w.wantRelease(t, w.start(t), nil)
		})
	}
}

// TestEntryPoints starts the sidecar with each entry point of its image.
func TestEntryPoints(t *testing.T) {
	t.Run("skr.sh with arguments", func(t *testing.T) {
		w, port := newWorld(t), freePort()
		w.drop = []string{"SkrSideCarArgs"}
		s := w.run(t, port, "/skr.sh", w.sideCarArgs(), strconv.Itoa(port))
		w.wantRelease(t, s, nil)
		w.wantAnswers(t, s)
	})
	t.Run("skr.sh with environment", func(t *testing.T) {
		w, port := newWorld(t), freePort()
		w.env = []string{"Port=" + strconv.Itoa(port), "LogLevel=info"}
		w.wantRelease(t, w.run(t, port, "/skr.sh"), nil)
	})
	t.Run("flag base64", func(t *testing.T) {
		w, port := newWorld(t), freePort()
		w.drop = []string{"SkrSideCarArgs"}
		w.wantRelease(t, w.run(t, port, "/bin/skr", "-base64", w.sideCarArgs(), "-port", strconv.Itoa(port)), nil)
	})
}

// TestMoreReleases counts requests. Concurrent callers cost one attestation, and each later
// release costs one request to the vault.
func TestMoreReleases(t *testing.T) {
	w := newWorld(t)
	s := w.start(t)
	var callers sync.WaitGroup
	for range 12 {
		callers.Go(func() {
			got := s.send(t, http.MethodPost, "/key/release", encode(releaseRequest(nil)), nil)
			if got.status != http.StatusOK {
				t.Errorf("%d %s", got.status, got.raw)
			}
		})
	}
	callers.Wait()
	attestations := slices.DeleteFunc(w.seen.at("authority"), func(v visit) bool { return v.method != http.MethodPost })
	if len(attestations) != 1 {
		t.Errorf("%d attestations for concurrent callers, want 1", len(attestations))
	}
	before := len(w.seen.all())
	w.wantRelease(t, s, nil)
	if later := w.seen.all()[before:]; len(later) != 1 || later[0].server != "vault" {
		t.Errorf("a later release made %d requests, want one, to the vault", len(later))
	}
}

// status answers with a status and no body.
func status(code int) intercept {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}
