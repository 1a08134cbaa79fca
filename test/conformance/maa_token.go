package conformance

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// largeNonce has more digits than a floating-point number holds.
const largeNonce = "7394904505194784658"

// tokenChecks are made with evidence of a machine.
func tokenChecks() []check {
	return []check{
		{name: "evidence is accepted", source: docClaims, machine: true, run: acceptedEvidence},
		{name: "header of the token", source: "real tokens: alg, jku, kid and typ, in this order", machine: true, run: tokenHeader},
		{name: "signature of the token", source: specMAA + ", SigningCertificates_Get", machine: true, run: tokenSignature},
		{name: "claims of the token", source: docClaims, machine: true, run: tokenClaims},
		{name: "nonce as text", source: specMAA + ", AttestSevSnpVmRequest: nonce is a string", machine: true, run: nonceAsText},
		{name: "padded base64url", source: "Azure's container sidecar sends it", machine: true, run: func(p *probe) error {
			_, err := p.token(p.s.machine.request(base64.URLEncoding, nil, nil))
			return err
		}},
		{name: "evidence with a wrong signature", source: docMAAError + ", 400", machine: true, run: refusedEvidence(func(body map[string]any, m *machine) {
			maps.Copy(body, m.request(base64.RawURLEncoding, nil, func(signed []byte) { signed[m.signature] ^= 1 }))
		})},
		{name: "evidence with another measurement", source: docMAAError + ", 400", machine: true, run: refusedEvidence(func(body map[string]any, m *machine) {
			maps.Copy(body, m.request(base64.RawURLEncoding, nil, func(signed []byte) { signed[m.measured] ^= 1 }))
		})},
		{name: "runtime data that the evidence does not bind", source: specMAA + ", RuntimeData", machine: true,
			run: refusedEvidence(func(body map[string]any, _ *machine) {
				body["runtimeData"] = map[string]string{"data": encoded(map[string]string{"other": "data"}), "dataType": "JSON"}
			})},
		{name: "no runtime data, no claim", source: "a real token without runtime data", machine: true, run: noRuntimeData},
	}
}

// asks returns the request for a token.
func (m *machine) asks(body map[string]any) request { return attestation(m.path, m.api, body) }

var attested = want{status: []int{http.StatusOK}, members: "token:string", headers: map[string]string{"Content-Type": "^application/json"}}

// token asks for a token and returns its three parts, decoded.
func (p *probe) token(body map[string]any) (parts [3][]byte, err error) {
	parts, _, err = p.tokenAt(body)
	return parts, err
}

// tokenAt also returns the service's time.
func (p *probe) tokenAt(body map[string]any) (parts [3][]byte, at time.Time, err error) {
	got, err := p.ask(p.s.machine.asks(body), attested)
	if err != nil {
		return parts, at, err
	}
	parts, ok := splitToken(got.text("token"))
	if !ok {
		return parts, at, p.differ("token is not a signed JWT in compact form")
	}
	if at, err = http.ParseTime(got.header.Get("Date")); err != nil {
		at = time.Now()
	}
	return parts, at, nil
}

func splitToken(token string) (parts [3][]byte, ok bool) {
	texts := strings.Split(token, ".")
	if len(texts) != len(parts) {
		return parts, false
	}
	for i, text := range texts {
		var err error
		if parts[i], err = base64.RawURLEncoding.DecodeString(text); err != nil || len(parts[i]) == 0 {
			return parts, false
		}
	}
	return parts, true
}

func acceptedEvidence(p *probe) error {
	m := p.s.machine
	got, err := p.ask(m.asks(m.request(base64.RawURLEncoding, json.Number(largeNonce), nil)), attested)
	if err != nil {
		return err
	}
	parts, ok := splitToken(got.text("token"))
	if !ok || json.Unmarshal(parts[1], &m.claims) != nil {
		return p.differ("token is not a signed JWT in compact form")
	}
	m.token = got.text("token")
	return nil
}

// held returns the parts of the token of the first check, so that the other checks do not attest again.
func (p *probe) held() (parts [3][]byte, err error) {
	if p.s.machine.token == "" {
		return parts, &skip{"the evidence was not accepted"}
	}
	parts, _ = splitToken(p.s.machine.token)
	return parts, nil
}

func tokenHeader(p *probe) error {
	p.expect("members alg, jku, kid and typ; alg RS256; typ JWT; jku is /certs of this host")
	parts, err := p.token(p.s.machine.request(base64.RawURLEncoding, nil, nil))
	if err != nil {
		return err
	}
	header := parseJSON(parts[0])
	found := compareMembers(header, "alg:string jku:string kid:string typ:string")
	if members, is := header.(map[string]any); !is || len(members) != 4 {
		found = append(found, "the header has other members, too")
	}
	for path, value := range map[string]string{"alg": "RS256", "typ": "JWT", "jku": "https://" + p.s.host + certsPath} {
		if valueAt(header, path) != value {
			found = append(found, path+" is another")
		}
	}
	return foundOrNil(found)
}

func foundOrNil(found []string) error {
	if len(found) > 0 {
		slices.Sort(found)
		return &difference{found}
	}
	return nil
}

func tokenSignature(p *probe) error {
	p.expect("RS256 by the key in /certs with the kid of the token")
	parts, err := p.held()
	if err != nil {
		return err
	}
	keys, err := p.ask(request{method: http.MethodGet, path: certsPath}, want{status: []int{http.StatusOK}, members: "keys:list"})
	if err != nil {
		return err
	}
	kid := valueAt(parseJSON(parts[0]), "kid")
	signed, _, _ := cutLast(p.s.machine.token, ".")
	sum := sha256.Sum256([]byte(signed))
	for _, key := range lookup(keys.json, "keys[]") {
		leaf, ok := firstCertificate(key)
		if !ok || valueAt(key, "kid") != kid {
			continue
		}
		public, isRSA := leaf.PublicKey.(*rsa.PublicKey)
		if !isRSA || rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], parts[2]) != nil {
			return p.differ("the key with that kid does not verify the signature")
		}
		return nil
	}
	return p.differ("no key has the kid of the token")
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

func nonceAsText(p *probe) error {
	p.expect("the claim nonce is the text of the request")
	parts, err := p.token(p.s.machine.request(base64.RawURLEncoding, "skr", nil))
	if err == nil && valueAt(parseJSON(parts[1]), "nonce") != "skr" {
		return p.differ("the claim nonce is another")
	}
	return err
}

func noRuntimeData(p *probe) error {
	p.expect("no claim x-ms-runtime")
	body := p.s.machine.request(base64.RawURLEncoding, nil, nil)
	delete(body, "runtimeData")
	parts, err := p.token(body)
	if err == nil && len(lookup(parseJSON(parts[1]), "x-ms-runtime")) > 0 {
		return p.differ("there is a claim x-ms-runtime")
	}
	return err
}

// refusedEvidence returns the run function of a check whose evidence is spoiled.
func refusedEvidence(spoil func(map[string]any, *machine)) func(*probe) error {
	return func(p *probe) error {
		body := p.s.machine.request(base64.RawURLEncoding, nil, nil)
		spoil(body, p.s.machine)
		_, err := p.ask(p.s.machine.asks(body), refused(http.StatusBadRequest, "InvalidParameter"))
		return err
	}
}
