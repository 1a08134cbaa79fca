package e2e

import (
	"cmp"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"skr/api"
)

// TestHostileKeySets: an authority vouches only for its own keys, and only for keys that
// can sign.
func TestHostileKeySets(t *testing.T) {
	t.Parallel()
	who := newStranger(t)
	modulus := strings.Repeat("_", 342) // 2048 bits
	for label, c := range map[string]struct{ discovery, keys string }{
		"other host":      {`{"jwks_uri":"https://` + who.cloud.AttestationHost() + `/certs"}`, ``},
		"plain HTTP":      {`{"jwks_uri":"http://%s/certs"}`, ``},
		"user in the URL": {`{"jwks_uri":"https://a@%s/certs"}`, ``},
		"duplicate":       {`{"jwks_uri":"https://%[1]s/certs","jwks_uri":"https://%[1]s/certs"}`, ``},
		"no keys":         {``, `{}`},
		"null keys":       {``, `{"keys":null}`},
		"null key":        {``, `{"keys":[null]}`},
		"no modulus":      {``, `{"keys":[{"kid":"k","kty":"RSA"}]}`},
		"exponent 1":      {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + modulus + `","e":"AQ"}]}`},
		"even exponent":   {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + modulus + `","e":"Ag"}]}`},
		"huge modulus":    {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + strings.Repeat("_", 800_000) + `","e":"AQAB"}]}`},
		"small modulus":   {``, `{"keys":[{"kid":"k","kty":"RSA","n":"____","e":"AQAB"}]}`},
		"huge exponent":   {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + modulus + `","e":"` + modulus + `"}]}`},
		"symmetric":       {``, `{"keys":[{"kid":"k","kty":"oct","k":"AAAA"}]}`},
		"bad x5c":         {``, `{"keys":[{"kid":"k","kty":"RSA","x5c":["AAAA"]}]}`},
		"many keys":       {``, `{"keys":[` + strings.Repeat(`{"kid":"x"},`, 70_000) + `{"kid":"k"}]}`},
		"encryption key":  {``, `{"keys":[{"kid":"k","kty":"RSA","use":"enc","n":"` + modulus + `","e":"AQAB"}]}`},
		"foreign key":     {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + modulus + `","e":"AQAB"}]}`},
	} {
		t.Run(label, func(t *testing.T) {
			request := who.request()
			request.MAAEndpoint = who.host("attest")
			var keys atomic.Int64
			who.say(request.MAAEndpoint, attesting(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/.well-known/") {
					form := cmp.Or(c.discovery, `{"jwks_uri":"https://%s/certs"}`)
					text(200, strings.NewReplacer("%s", request.MAAEndpoint, "%[1]s", request.MAAEndpoint).Replace(form))(w, r)
					return
				}
				keys.Add(1)
				text(200, c.keys)(w, r)
			}))
			who.expect(t, who.sidecar, request, api.UntrustedResponse)
			if asked := keys.Load() > 0; asked != (c.keys != "") {
				t.Errorf("requested the keys: %v", asked)
			}
		})
	}
	who.expect(t, who.sidecar, who.request(), served)
}
