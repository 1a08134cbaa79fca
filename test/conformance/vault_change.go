package conformance

import (
	"net/http"
	"strings"
)

// onKey returns the run function of a check about a key that another check has created.
func onKey(kind string, r request, w want) func(*probe) error {
	return func(p *probe) error {
		k, err := p.key(kind)
		if err == nil {
			_, err = p.ask(r.at(k), w)
		}
		return err
	}
}

func patch(path string, body any) request {
	return request{method: http.MethodPatch, path: path, api: stable, body: body}
}

const (
	versionPath  = "/keys/{key}/{version}"
	rotationPath = "/keys/{key}/rotationpolicy"
)

// changeChecks read, update and rotate keys.
func changeChecks(s *session) []check {
	bundle := want{status: []int{http.StatusOK}, members: bundleShape}
	bad := refused(http.StatusBadRequest, "BadParameter")
	numbered := func(number string) want {
		if s.managed {
			return bad
		}
		return bad.saying("AKV.SKR." + number)
	}
	tagged := bundle
	tagged.equal = map[string]string{"tags.more": "tags"}
	get := func(path string) request { return request{method: http.MethodGet, path: path, api: stable} }
	tags := patch(keyPath, map[string]any{"tags": map[string]string{"skr-conformance": "may be deleted", "more": "tags"}})
	export := patch(keyPath, map[string]any{"attributes": map[string]any{"exportable": false}})
	policy := want{status: []int{http.StatusOK}, members: "id:string lifetimeActions:array attributes:object"}
	checks := []check{
		{name: "get the current version", source: specKeys + ", GetKey", run: onKey("p-256", get(keyPath), bundle)},
		{name: "get a version", source: specKeys + ", GetKey", run: onKey("p-256", get(versionPath), bundle)},
		{name: "get with a slash at the end", source: "SDKs send it for an empty version; " + recordedGo, run: onKey("p-256", get(keyPath+"/"), bundle)},
		{name: "a version with a policy cannot be updated", source: "public issue reports: 1016",
			run: onKey("p-256", patch(versionPath, map[string]any{"release_policy": s.unmet()}), numbered("1016"))},
		{name: "exportable cannot be changed", source: docDetails + ", exportable; public issue reports: 1003", run: onKey("p-256", export, numbered("1003"))},
		{name: "update the tags", source: specKeys + ", UpdateKey", run: onKey("p-256", tags, tagged)},
		{name: "update the policy", source: docGrammar, run: onKey("p-256", patch(keyPath, map[string]any{"release_policy": s.policy("x-ms-ver", "0")}),
			want{status: []int{http.StatusOK}, members: releasedShape})},
		{name: "rotate", source: docRotation, run: rotate},
		{name: "versions in pages", source: specKeys + ", GetKeyVersions", run: func(p *probe) error { return p.versionPages() }},
		{name: "rotation policy of a new key", source: docRotation + "; " + recordedGo,
			run: onKey("plain", request{method: http.MethodGet, path: rotationPath, api: stable}, policy)},
		{name: "set a rotation policy", source: docRotation + "; " + recordedGo, run: onKey("plain", rotationPolicy("P90D", "P60D"),
			want{status: []int{http.StatusOK}, members: "id:string lifetimeActions:list lifetimeActions[].action.type:string " +
				"lifetimeActions[].trigger:object attributes.expiryTime:string attributes.created:int attributes.updated:int",
				equal: map[string]string{"attributes.expiryTime": "P90D"}})},
		{name: "a rotation policy that expires too soon", source: docRotation + ", at least 28 days", run: onKey("plain", rotationPolicy("P1D", "P60D"), bad)},
		{name: "disable a key", source: docDetails + ", enabled", run: onKey("plain", patch(keyPath, enabled(false)),
			want{status: []int{http.StatusOK}, members: bundleShape, equal: map[string]string{"attributes.enabled": "false"}})},
		{name: "decrypt with a disabled key", source: docDetails + ", enabled; KeyDisabled as in issue 45342 of the Azure SDK for Python",
			run: onKey("plain", operation("decrypt", "RSA-OAEP-256", make([]byte, 256)),
				refused(http.StatusForbidden, "Forbidden").inside("KeyDisabled"))},
		{name: "enable a key", source: docDetails + ", enabled", run: onKey("plain", patch(keyPath, enabled(true)),
			want{status: []int{http.StatusOK}, members: bundleShape, equal: map[string]string{"attributes.enabled": "true"}})},
	}
	return writing(append(checks, vouchedChecks(s)...))
}

// vouchedChecks ask for key attestation, which is documented for Managed HSM.
func vouchedChecks(s *session) []check {
	vouched := request{method: http.MethodGet, path: versionPath + "/attestation", api: withEvidence}
	const (
		bundle    = bundleShape + " attributes.attestation"
		symmetric = bundle + ".certificatePemFile:b64 attributes.attestation.privateKeyAttestation:b64 attributes.attestation.version:string"
		both      = symmetric + " attributes.attestation.publicKeyAttestation:b64"
	)
	if !s.managed {
		return []check{{name: "key attestation", source: unconfirmed + "the route exists, and the attestation may be missing", run: onKey("rsa-2048", vouched,
			want{status: []int{http.StatusOK}, members: bundleShape})}}
	}
	return []check{
		{name: "key attestation", source: docEvidence, run: onKey("rsa-2048", vouched, want{status: []int{http.StatusOK}, members: both})},
		{name: "key attestation of a symmetric key", source: docEvidence, run: onKey("oct-256", vouched, want{status: []int{http.StatusOK}, members: symmetric})},
	}
}

// writing marks checks that need keys of their own.
func writing(checks []check) []check {
	for i := range checks {
		checks[i].write = true
	}
	return checks
}

func enabled(is bool) map[string]any {
	return map[string]any{"attributes": map[string]any{"enabled": is}}
}

func rotationPolicy(expiry, after string) request {
	return request{method: http.MethodPut, path: rotationPath, api: stable, body: map[string]any{
		"lifetimeActions": []any{map[string]any{"trigger": map[string]any{"timeAfterCreate": after}, "action": map[string]any{"type": "Rotate"}}},
		"attributes":      map[string]any{"expiryTime": expiry},
	}}
}

func rotate(p *probe) error {
	k, err := p.key("p-256")
	if err != nil {
		return err
	}
	got, err := p.ask(request{method: http.MethodPost, path: "/keys/{key}/rotate", api: stable}.at(k),
		want{status: []int{http.StatusOK}, members: releasedShape, equal: map[string]string{"key.crv": "P-256"}})
	if err != nil {
		return err
	}
	next, err := p.made(k.name, got)
	if err == nil && strings.EqualFold(next.version, k.version) {
		return p.differ("the version is that before the rotation")
	}
	return err
}

func (p *probe) versionPages() error {
	k, err := p.key("p-256")
	if err != nil {
		return err
	}
	return p.pages("/keys/{key}/versions", k.name)
}
