package vault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxBody limits a request in bytes. It leaves room for a release policy of 200
// KiB in base64url and an attestation token of some tens of KiB.
const maxBody = 1 << 20

// apiVersions are the versions of the Key Vault data plane. Versions before 7.3 have neither key
// release nor rotation. The order is the service's, oldest first.
var apiVersions = []string{
	"2016-10-01", "7.0-preview", "7.0", "7.1-preview", "7.1", "7.2-preview", "7.2", "7.3-preview", "7.3", "7.4-preview.1", "7.4", "7.5-preview.1", "7.5",
	"7.6-preview.1", "7.6-preview.2", "7.6", "2025-06-01-preview", "2025-07-01",
	"2026-01-01-preview", "2026-03-01-preview", "2026-04-01", "2026-05-01-preview",
}

// firstWithRelease is the first version of the operations in newer.
const firstWithRelease = "7.3-preview"

// newer are the operations that versions before 7.3 do not have.
var newer = []string{
	"POST keys/name/release", "POST keys/name/rotate", "POST rng", "GET keys/name/rotationpolicy", "PUT keys/name/rotationpolicy",
	"GET keys/name/attestation",
}

// call is an authenticated and routed request.
type call struct {
	ctx        context.Context
	name       string // the key's name, or ""
	version    string // the key's version; "" means the current one
	apiVersion string
	query      url.Values
	body       []byte
}

// operation is one operation of the protocol.
type operation struct {
	action    string // the data action after "Microsoft.KeyVault/vaults/"
	versioned bool   // the path may name a version
	do        func(*Vault, *call) (answer, error)
}

// operations are the supported routes of the Azure REST API specification. The
// rest of a path is a name and a version.
var operations = map[string]operation{
	"GET keys":                      {"keys/read", false, (*Vault).listKeys},
	"GET keys/name":                 {"keys/read", true, (*Vault).get},
	"GET keys/name/versions":        {"keys/read", false, (*Vault).listVersions},
	"GET keys/name/attestation":     {"keys/read", true, (*Vault).attest},
	"GET keys/name/rotationpolicy":  {"keyrotationpolicies/read", false, (*Vault).getRotationPolicy},
	"PUT keys/name/rotationpolicy":  {"keyrotationpolicies/write", false, (*Vault).putRotationPolicy},
	"POST keys/restore":             {"keys/restore/action", false, (*Vault).restore},
	"POST keys/name/backup":         {"keys/backup/action", false, (*Vault).backup},
	"POST keys/name/rotate":         {"keys/rotate/action", false, (*Vault).rotate},
	"PUT keys/name":                 {"keys/import/action", false, (*Vault).importKey},
	"PATCH keys/name":               {"keys/update/action", true, (*Vault).update},
	"DELETE keys/name":              {"keys/delete", false, (*Vault).delete},
	"POST keys/name/create":         {"keys/create/action", false, (*Vault).create},
	"POST keys/name/release":        {"keys/release/action", true, (*Vault).release},
	"POST keys/name/encrypt":        {"keys/encrypt/action", true, (*Vault).encrypt},
	"POST keys/name/decrypt":        {"keys/decrypt/action", true, (*Vault).decrypt},
	"POST keys/name/wrapkey":        {"keys/wrap/action", true, (*Vault).wrapKey},
	"POST keys/name/unwrapkey":      {"keys/unwrap/action", true, (*Vault).unwrapKey},
	"POST keys/name/sign":           {"keys/sign/action", true, (*Vault).sign},
	"POST keys/name/verify":         {"keys/verify/action", true, (*Vault).verify},
	"GET deletedkeys":               {"deletedkeys/read", false, (*Vault).listDeleted},
	"GET deletedkeys/name":          {"deletedkeys/read", false, (*Vault).getDeleted},
	"DELETE deletedkeys/name":       {"keys/purge/action", false, (*Vault).purge},
	"POST deletedkeys/name/recover": {"keys/recover/action", false, (*Vault).recover},
	"POST rng":                      {"rng/action", false, (*Vault).random},
}

// ServeHTTP answers one request.
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := v.answer(r)
	if f, ok := errors.AsType[*fault](err); ok {
		a = v.faultAnswer(f)
	} else if err != nil {
		a = v.faultAnswer(faultInternal())
	}
	v.write(w, r, a)
}

func (v *Vault) answer(r *http.Request) (answer, error) {
	caller, err := v.authenticate(r)
	if err != nil {
		return answer{}, err
	}
	c, op, err := v.route(r)
	if err != nil {
		return answer{}, err
	}
	action := v.dataAction(op.action)
	if err := v.config.Permissions(caller, action, c.name); err != nil {
		return answer{}, v.faultDenied(caller, action, c.name)
	}
	c.body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(c.body) > maxBody {
		return answer{}, faultTooLarge()
	}
	if err := v.rotateDue(); err != nil {
		return answer{}, err
	}
	return op.do(v, c)
}

func (v *Vault) authenticate(r *http.Request) (Caller, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Caller{}, v.faultUnauthorized("AKV10000: Request is missing a Bearer or PoP token.")
	}
	caller, err := v.config.VerifyAccessToken(strings.TrimSpace(token), v.config.Resource)
	if err != nil {
		// UNCONFIRMED: Azure's text depends on what is wrong with the token.
		return Caller{}, v.faultUnauthorized("Error validating token: 'S2S12086'.")
	}
	return caller, nil
}

// dataAction returns the action as Azure's role definitions name it.
func (v *Vault) dataAction(suffix string) string {
	if v.managedHSM() {
		return "Microsoft.KeyVault/managedHsm/" + suffix
	}
	return "Microsoft.KeyVault/vaults/" + suffix
}

// validName matches names and versions (Azure REST API specification, key-name:
// ^[0-9a-zA-Z-]+$, at most 127).
var validName = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)

func (v *Vault) route(r *http.Request) (*call, operation, error) {
	c := &call{ctx: r.Context(), query: r.URL.Query()}
	pattern, ok := c.parsePath(r.Method, r.URL)
	op, known := operations[pattern]
	if !ok || !known || c.version != "" && !op.versioned {
		return nil, operation{}, faultNoRoute()
	}
	for _, part := range []string{c.name, c.version} {
		if part != "" && !validName.MatchString(part) {
			return nil, operation{}, v.faultName(part)
		}
	}
	if err := v.checkAPIVersion(c); err != nil {
		return nil, operation{}, err
	}
	if slices.Index(apiVersions, c.apiVersion) < slices.Index(apiVersions, firstWithRelease) && slices.Contains(newer, pattern) && c.apiVersion != "" {
		return nil, operation{}, faultNoRoute()
	}
	return c, op, nil
}

// checkAPIVersion accepts a Managed HSM's links to the next page without a
// version, because they carry none.
func (v *Vault) checkAPIVersion(c *call) error {
	c.apiVersion = c.query.Get("api-version")
	linked := v.managedHSM() && c.apiVersion == "" && c.query.Has("$skiptoken")
	if !linked && !slices.Contains(apiVersions, c.apiVersion) {
		return faultAPIVersion(c.apiVersion)
	}
	return nil
}

// parsePath parses name and version and returns the pattern of operations.
// Clients write an empty version as "/keys/name/" and "/keys/name//release", so
// no mux that cleans paths may precede this handler.
func (c *call) parsePath(method string, u *url.URL) (pattern string, ok bool) {
	parts, err := segments(u)
	if err != nil || len(parts) > 4 {
		return "", false
	}
	pattern = method + " " + parts[0]
	if len(parts) == 1 {
		return pattern, true
	}
	if pattern == "POST keys" && len(parts) == 2 && strings.EqualFold(parts[1], "restore") {
		return "POST keys/restore", true
	}
	c.name, pattern = parts[1], pattern+"/name"
	rest := parts[2:]
	if len(rest) > 0 && (method == http.MethodPost || isNoun(rest)) {
		pattern += "/" + strings.ToLower(rest[len(rest)-1])
		rest = rest[:len(rest)-1]
	}
	if len(rest) == 1 {
		c.version = rest[0]
	}
	return pattern, c.name != "" && len(rest) <= 1
}

// isNoun reports whether the last part of a path names something of the key, and no version.
func isNoun(rest []string) bool {
	switch strings.ToLower(rest[len(rest)-1]) {
	case "versions", "rotationpolicy":
		return len(rest) == 1
	case "attestation":
		return true
	}
	return false
}

// segments splits before it unescapes, so that %2F stays inside its segment.
func segments(u *url.URL) ([]string, error) {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, part := range parts {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return nil, err
		}
		parts[i] = plain
	}
	return parts, nil
}
