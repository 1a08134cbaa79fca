package conformance

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// vaultChecks are the checks of a vault.
func vaultChecks(s *session) []check {
	return slices.Concat(accessChecks(s), readChecks(s), createChecks(s), changeChecks(s), cryptoChecks(s), releaseChecks(s), lifeChecks(s))
}

// kind is a kind of key.
type kind struct {
	name, kty, curve string
	bits             int
	members          string // of the key in a bundle
}

// kinds returns the kinds of keys that a service releases.
func kinds(managed bool) []kind {
	all := []kind{
		{"rsa-2048", "RSA-HSM", "", 2048, "key.n:b64(256) key.e:b64"},
		{"rsa-3072", "RSA-HSM", "", 3072, "key.n:b64(384) key.e:b64"},
		{"rsa-4096", "RSA-HSM", "", 4096, "key.n:b64(512) key.e:b64"},
		{"p-256", "EC-HSM", "P-256", 0, "key.x:b64(32) key.y:b64(32)"},
		{"p-256k", "EC-HSM", "P-256K", 0, "key.x:b64(32) key.y:b64(32)"},
		{"p-384", "EC-HSM", "P-384", 0, "key.x:b64(48) key.y:b64(48)"},
		{"p-521", "EC-HSM", "P-521", 0, "key.x:b64(66) key.y:b64(66)"},
	}
	if managed {
		all = append(all, kind{"oct-256", "oct-HSM", "", 256, ""})
	}
	return all
}

// bundleShape is the shape of a key.
const bundleShape = "key.kid:string key.kty:string key.key_ops:list attributes.enabled:bool attributes.created:int attributes.updated:int " +
	"attributes.recoveryLevel:string attributes.recoverableDays?:int"

// releasedShape is the shape of a key that can be released.
const releasedShape = bundleShape +
	" attributes.exportable:bool release_policy.data:b64 release_policy.immutable:bool release_policy.contentType?:string tags:object"

// policy returns a release policy with one condition on the tokens of the attestation service.
func (s *session) policy(claim, value string) map[string]any {
	text := fmt.Sprintf(`{"version":"1.0.0","anyOf":[{"authority":%q,"allOf":[{"claim":%q,"equals":%q}]}]}`, s.config.Authority.Issuer(), claim, value)
	return map[string]any{"contentType": "application/json; charset=utf-8", "data": base64.RawURLEncoding.EncodeToString([]byte(text))}
}

// unmet is a policy that no machine meets.
func (s *session) unmet() map[string]any {
	return s.policy("x-ms-sevsnpvm-hostdata", strings.Repeat("0", 63)+"x")
}

// body returns the request for a key that can be released to no machine.
func (s *session) body(k kind) map[string]any {
	body := map[string]any{
		"kty": k.kty, "tags": map[string]string{"skr-conformance": "may be deleted"},
		"attributes": map[string]any{"exportable": true}, "release_policy": s.unmet(),
	}
	if k.bits > 0 {
		body["key_size"] = k.bits
	}
	if k.curve != "" {
		body["crv"] = k.curve
	}
	return body
}

func (s *session) createRequest(name string, body map[string]any) request {
	return request{method: http.MethodPost, path: "/keys/{key}/create", key: s.keyName(name), api: stable, body: body, creates: true}
}

// create creates a key and keeps it for later checks.
func (p *probe) create(name string, body map[string]any, w want) (*madeKey, error) {
	got, err := p.ask(p.s.createRequest(name, body), w)
	if err != nil {
		return nil, err
	}
	k, err := p.made(p.s.keyName(name), got)
	if err == nil {
		p.s.keys[name] = k
	}
	return k, err
}

// made returns the key of a bundle, whose kid must be of this vault, that name, and a version.
func (p *probe) made(name string, got *answer) (*madeKey, error) {
	p.expect("kid is https://HOST/keys/NAME/VERSION with a version of 32 hex digits")
	version, found := strings.CutPrefix(strings.ToLower(got.text("key.kid")), strings.ToLower("https://"+p.s.host+"/keys/"+name+"/"))
	if !found || len(version) != 32 || strings.Trim(version, "0123456789abcdef") != "" {
		return nil, p.differ("kid has another form")
	}
	return &madeKey{name, version, got.json}, nil
}

// createChecks create a key of each kind, and try what the rules of key release forbid.
func createChecks(s *session) []check {
	var checks []check
	for _, k := range kinds(s.managed) {
		checks = append(checks, check{name: "create " + k.name, source: docDetails + "; " + docGrammar + "; " + recordedGo, write: true,
			run: func(p *probe) error { return p.createKind(k) }})
	}
	small := kinds(s.managed)[3]
	change := func(name string, edit func(map[string]any)) request {
		body := s.body(small)
		edit(body)
		return s.createRequest(name, body)
	}
	bad := refused(http.StatusBadRequest, "BadParameter")
	numbered := func(number string) want {
		if s.managed { // Managed HSM omits the numbers
			return bad
		}
		return bad.saying("AKV.SKR." + number)
	}
	unreachable := s.policy("x", "y")
	unreachable["data"] = encode64([]byte(`{"version":"1.0.0","anyOf":[{"authority":"https://no-such-authority.invalid","allOf":[{"claim":"x","equals":"y"}]}]}`))
	return append(checks,
		check{name: "exportable without a policy", source: recordedJS, write: true,
			run: one(change("refused", func(b map[string]any) { delete(b, "release_policy") }), numbered("1004"))},
		check{name: "a policy and not exportable", source: recordedJS, write: true,
			run: one(change("refused", func(b map[string]any) { delete(b, "attributes") }), numbered("1005"))},
		check{name: "a policy of an unknown authority", source: recordedGo, write: true,
			run: one(change("refused", func(b map[string]any) { b["release_policy"] = unreachable }), numbered("1012"))},
		check{name: "an unknown key type", source: specKeys + ", JsonWebKeyType; " + recordedGo, write: true,
			run: one(change("refused", func(b map[string]any) { b["kty"] = "RSB" }), bad)},
		check{name: "an unknown curve", source: specKeys + ", JsonWebKeyCurveName", write: true,
			run: one(change("refused", func(b map[string]any) { b["crv"] = "P-255" }), bad)},
		check{name: "a body that is not JSON", source: specKeys, write: true,
			run: one(request{method: http.MethodPost, path: "/keys/{key}/create", key: s.keyName("refused"), api: stable, body: rawBody("{"), creates: true}, bad)},
		check{name: "create a key that is not exportable", source: docKeys + "; " + recordedGo, write: true, run: createPlain},
	)
}

func (p *probe) createKind(k kind) error {
	w := want{status: []int{http.StatusOK}, members: releasedShape + " " + k.members, equal: map[string]string{
		"key.kty": k.kty, "attributes.enabled": "true", "attributes.exportable": "true", "release_policy.immutable": "false",
		"tags.skr-conformance": "may be deleted"}}
	if k.curve != "" {
		w.equal["key.crv"] = k.curve
	}
	_, err := p.create(k.name, p.s.body(k), w)
	return err
}

// createPlain creates a key that other checks change and use. It may only encrypt and decrypt.
func createPlain(p *probe) error {
	_, err := p.create("plain", map[string]any{
		"kty": "RSA-HSM", "key_size": 2048, "key_ops": []string{"encrypt", "decrypt"}, "tags": map[string]string{"skr-conformance": "may be deleted"},
	}, want{
		status: []int{http.StatusOK}, members: bundleShape + " key.n:b64(256) key.e:b64",
		equal: map[string]string{"key.kty": "RSA-HSM", "attributes.exportable": "false"},
	})
	return err
}
