package conformance

import (
	"net/http"
	"slices"
	"strings"
)

// releaseChecks ask for the release of keys.
func releaseChecks(s *session) []check {
	forbidden := refused(http.StatusForbidden, "Forbidden")
	release := func(body any) request {
		return request{method: http.MethodPost, path: "/keys/{key}/release", api: withRelease, body: body}
	}
	target := map[string]any{"target": forgedToken("https://attest.azure.net")}
	const words = "Target environment attestation statement cannot be verified."
	checks := []check{
		{name: "release to a token that is no token", source: recordedJS, run: onKey("rsa-2048", release(map[string]any{"target": "no token"}),
			forbidden.inside("AccessDenied").saying(words))},
		{name: "release to a forged token", source: recordedJS, run: onKey("rsa-2048", release(target), forbidden.inside("AccessDenied").saying(words))},
		{name: "release with an empty version in the path", source: "old SDKs send it; " + recordedGo, run: onKey("rsa-2048",
			request{method: http.MethodPost, path: "/keys/{key}//release", api: withRelease, body: target}, forbidden)},
		{name: "release without a token", source: specKeys + ", KeyReleaseParameters: target is required",
			run: onKey("rsa-2048", release(map[string]any{}), refused(http.StatusBadRequest, "BadParameter"))},
		{name: "release with an unknown enc", source: specKeys + ", KeyEncryptionAlgorithm", run: onKey("rsa-2048",
			release(map[string]any{"target": target["target"], "enc": "NO_SUCH_WRAP"}), refused(http.StatusBadRequest, "BadParameter"))},
		{name: "release of a key that is not exportable", source: docGrammar + ": only exportable keys are released",
			run: onKey("plain", release(target), want{status: []int{http.StatusBadRequest, http.StatusForbidden}, members: errorShape})},
		{name: "release that the policy refuses", source: unconfirmed + "the text, which third parties report; " + docGrammar, machine: true, run: refusedByPolicy},
		{name: "release", source: docGrammar + "; " + recordedGo, machine: true, run: func(p *probe) error { return p.release("rsa-2048") }},
		{name: "release of a key on P-384", source: docGrammar + "; " + recordedGo, machine: true, run: func(p *probe) error { return p.release("p-384") }},
	}
	if s.managed {
		checks = append(checks, check{name: "release of a symmetric key", source: docGrammar, machine: true,
			run: func(p *probe) error { return p.release("oct-256") }})
	}
	return writing(checks)
}

// needsToken returns the accepted token of the machine.
func (p *probe) needsToken() (string, error) {
	switch m := p.s.machine; {
	case m.token == "":
		return "", &skip{"the evidence was not accepted"}
	case !m.wraps:
		return "", &skip{"the runtime data has no RSA key with key_ops encrypt or use enc"}
	default:
		return m.token, nil
	}
}

func refusedByPolicy(p *probe) error {
	token, err := p.needsToken()
	if err != nil {
		return err
	}
	return onKey("rsa-2048", request{method: http.MethodPost, path: "/keys/{key}/release", api: withRelease, body: map[string]any{"target": token}},
		refused(http.StatusForbidden, "Forbidden").saying("does not meet key release policy"))(p)
}

// encs are the ways to wrap a released key.
var encs = []string{"", "CKM_RSA_AES_KEY_WRAP", "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384"}

// release sets a policy that the machine meets, and asks for the key with each way to wrap it.
func (p *probe) release(kind string) error {
	token, err := p.needsToken()
	if err != nil {
		return err
	}
	k, err := p.key(kind)
	if err != nil {
		return err
	}
	unique, _ := p.s.machine.claims[p.s.machine.unique].(string)
	allowed := patch(keyPath, map[string]any{"release_policy": p.s.policy(p.s.machine.unique, unique)})
	if _, err := p.ask(allowed.at(k), want{status: []int{http.StatusOK}, members: releasedShape}); err != nil {
		return err
	}
	for _, enc := range encs {
		body := map[string]any{"target": token}
		if enc != "" {
			body["enc"] = enc
		}
		got, err := p.ask(request{method: http.MethodPost, path: "/keys/{key}/release", api: withRelease, body: body}.at(k),
			want{status: []int{http.StatusOK}, members: "value:string"})
		if err != nil {
			return err
		}
		if err := p.statement(got.text("value"), k, enc); err != nil {
			return err
		}
	}
	return nil
}

const (
	vaultHeader = "alg:string kid:string x5t:string typ:string x5t#S256:b64(32) x5c:list"
	hsmHeader   = "alg:string kid:string x5t#S256:b64(32) x5c:list"
	payload     = "request.api-version:string request.enc:string request.kid:string response.key.key.kid:string response.key.key.kty:string " +
		"response.key.key.key_ops:list response.key.key.key_hsm:b64 response.key.attributes.exportable:bool response.key.release_policy.data:b64"
	wrapped = "schema_version:string header.kid:string header.alg:string header.enc:string ciphertext:b64"
)

// statement compares the form of a release statement.
func (p *probe) statement(text string, k *madeKey, enc string) error {
	header := vaultHeader
	if p.s.managed {
		header = hsmHeader
	}
	p.expect("header of the statement: " + header)
	p.expect("payload: " + payload)
	p.expect("key_hsm: " + wrapped)
	parts, ok := splitToken(text)
	if !ok {
		return p.differ("value is not a signed JWT in compact form")
	}
	head, body := parseJSON(parts[0]), parseJSON(parts[1])
	inner := parseJSON(decode64(valueAt(body, "response.key.key.key_hsm")))
	p.exchanges[len(p.exchanges)-1].Shape = shapeOf(map[string]any{"header": head, "payload": body, "key_hsm": inner})
	found := slices.Concat(compareMembers(head, header), compareMembers(body, payload), compareMembers(inner, wrapped))
	if enc == "" {
		enc = "CKM_RSA_AES_KEY_WRAP"
	}
	if valueAt(head, "alg") != "RS256" {
		found = append(found, "alg is not RS256")
	}
	if valueAt(body, "request.enc") != enc || valueAt(inner, "header.enc") != enc {
		found = append(found, "enc is not that of the request or its default")
	}
	if !strings.HasPrefix(strings.ToLower(valueAt(body, "response.key.key.kid")), strings.ToLower("https://"+p.s.host+"/keys/"+k.name+"/")) {
		found = append(found, "kid is not of this key")
	}
	return foundOrNil(found)
}
