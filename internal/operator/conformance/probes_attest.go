package conformance

import (
	"encoding/base64"
	"net/http"

	"skr/api"
)

// sample is runtime data whose base64 has both characters in which the alphabets differ. Its
// standard form ends in padding.
var sample = []byte{0xfb, 0xff, 0xbe, 0xfb, 0xff, 0xbe, 0xfb}

// attestProbes ask for evidence. Each takes a paravisor two seconds.
func attestProbes() []probe {
	standard := base64.StdEncoding.EncodeToString(sample)
	report := all(result(map[string]form{"report": anyText}), bindsRaw(sample))
	evidence := all(result(map[string]form{"evidence": anyText, "endorsements": anyText, "endorsed_tcb": anyText, "uvm_endorsements": anyText}),
		bindsEvidence(sample))
	attest := func(name, route, data string) probe {
		return probe{
			name: name, method: http.MethodPost, path: route, body: object("runtime_data", data), verdict: good,
			isServed: true, succeeds: true, reports: 1,
		}
	}
	raw := attest("raw", api.RouteRaw, standard)
	raw.reference, raw.own = report, report
	form := attest("raw-form-type", api.RouteRaw, standard)
	form.header, form.verdict = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, wordless // as curl -d sends it
	form.reference, form.own = report, report
	other := attest("raw-url-alphabet", api.RouteRaw, base64.RawURLEncoding.EncodeToString(sample))
	other.own = report
	combined := attest("combined", api.RouteCombined, standard[:4]+"\r\n"+standard[4:]+"\r\n") // as MIME encoders break lines
	combined.reference, combined.own = evidence, evidence
	return []probe{raw, form, other, combined}
}

// authorityProbes ask for a token: of an authority that is not allowed, and of the one that is named.
func authorityProbes(c Config) []probe {
	ask := func(name, authority string) probe {
		return probe{
			name: name, method: http.MethodPost, path: api.RouteMAA, isServed: true, verdict: good,
			body: object("maa_endpoint", authority, "runtime_data", base64.StdEncoding.EncodeToString([]byte(`{"keys":[]}`))),
		}
	}
	foreign := ask("foreign-authority", nowhere)
	foreign.reportsIfAccepted, foreign.reference, foreign.own = 1, noResult, refused(api.EndpointNotAllowed)
	token := ask("maa", c.Authority)
	if c.Authority == "" {
		token.skip = "give --maa to ask for a token"
	}
	token.reports, token.succeeds = 1, true
	token.reference = result(map[string]form{"token": jwt})
	token.own = token.reference
	return []probe{foreign, token}
}
