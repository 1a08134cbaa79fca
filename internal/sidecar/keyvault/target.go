package keyvault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"skr/api"
	"skr/internal/sidecar/dialect"
	"skr/internal/strictjson"
)

// target is what a request is for.
type target struct {
	alias, version string
	route          string // of package api
}

// operations maps the names in paths, which clients write in small letters and documents with
// capitals, to routes.
var operations = map[string]string{
	"encrypt": api.RouteEncrypt, "decrypt": api.RouteDecrypt, "wrapkey": api.RouteWrap,
	"unwrapkey": api.RouteUnwrap, "sign": api.RouteSign, "verify": api.RouteVerify,
}

// segment matches the names that aliases and versions have.
var segment = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// parseTarget parses /keys/NAME[/VERSION][/OPERATION]. SDKs write an empty version as
// /keys/NAME//OPERATION, and /keys/NAME/ to get the key.
func parseTarget(method, path string) (t target, ok bool) {
	rest, found := strings.CutPrefix(path, "/keys/")
	parts := strings.Split(rest, "/")
	if !found || len(parts) > 3 || !segment.MatchString(parts[0]) {
		return t, false
	}
	t.alias = parts[0]
	switch method {
	case http.MethodGet:
		t.route = api.RoutePublic
		parts = parts[1:]
	case http.MethodPost:
		if t.route, ok = operations[strings.ToLower(parts[len(parts)-1])]; !ok || len(parts) < 2 {
			return t, false
		}
		parts = parts[1 : len(parts)-1]
	default:
		return t, false
	}
	if len(parts) > 1 || len(parts) == 1 && parts[0] != "" && !segment.MatchString(parts[0]) {
		return t, false
	}
	if len(parts) == 1 {
		t.version = parts[0]
	}
	return t, true
}

// request returns the body of the local request. It takes over the members of the operation,
// and refuses others, which would have a meaning that is lost.
func (t target) request(body []byte) ([]byte, error) {
	text := append(make([]byte, 0, len(body)+256), `{"alias":"`+t.alias+`","version":"`+t.version+`"`...)
	if t.route == api.RoutePublic {
		return append(text, '}'), nil
	}
	var own error
	err := strictjson.Decoder{}.Members(body, func(name string, value []byte) error {
		switch {
		case string(value) == "null":
			return nil
		case name != "alg" && name != "value" && name != "digest" && name != "iv" && name != "tag" && name != "aad":
			own = errors.New("the body has a member that is none of alg, value, digest, iv, tag and aad")
			return own
		}
		if _, isText := strictjson.Text(value); !isText {
			own = errors.New("a member of the body is not a string")
			return own
		}
		text = append(append(append(append(text, `,"`...), name...), `":`...), value...)
		return nil
	})
	switch {
	case own != nil:
		return text, own
	case err != nil:
		return text, fmt.Errorf("the body %w", err)
	}
	return append(text, '}'), nil
}

// bundle is a KeyBundle of the vault's API, without what is not known here.
type bundle struct {
	Key        map[string]any `json:"key"`
	Attributes struct {
		Enabled bool `json:"enabled"`
	} `json:"attributes"`
}

// translate returns the vault's answer for the local one.
func (t target) translate(got *dialect.Answer, host string) answer {
	if got.Status != http.StatusOK {
		return refused(got)
	}
	translated := answer{status: http.StatusOK, header: got.Header()}
	if t.route == api.RoutePublic {
		translated.body = t.bundle(got.Body, host)
		return translated
	}
	var kid struct {
		KID string `json:"kid"`
	}
	if json.Unmarshal(got.Body, &kid) != nil {
		return fault(http.StatusInternalServerError, "InternalServerError", "the answer cannot be translated")
	}
	// Only the identifier changes; the rest has the vault's members and may be secret.
	before, after := `{"kid":"`+kid.KID+`"`, `{"kid":"`+t.kid(host, kid.KID)+`"`
	translated.body = append(append(make([]byte, 0, len(got.Body)+len(after)), after...), got.Body[len(before):]...)
	clear(got.Body)
	return translated
}

// kid returns the identifier under which the client knows the key: with the vault's version.
func (t target) kid(host, real string) string {
	return "https://" + host + "/keys/" + t.alias + real[strings.LastIndexByte(real, '/'):]
}

// bundle returns the KeyBundle for the public part.
func (t target) bundle(body []byte, host string) []byte {
	var public api.PublicResponse
	var b bundle
	if json.Unmarshal(body, &public) != nil || json.Unmarshal(public.Key, &b.Key) != nil {
		return []byte("{}")
	}
	real, _ := b.Key["kid"].(string)
	b.Key["kid"] = t.kid(host, real)
	if b.Key["crv"] == "secp256k1" {
		b.Key["crv"] = "P-256K" // Key Vault 7.4, JsonWebKeyCurveName
	}
	b.Attributes.Enabled = true
	text, err := json.Marshal(b)
	if err != nil {
		return []byte("{}")
	}
	return text
}

// faults maps the codes of package api to the vault's.
var faults = map[int]string{
	http.StatusBadRequest: "BadParameter", http.StatusForbidden: "Forbidden", http.StatusNotFound: "KeyNotFound",
	http.StatusTooManyRequests: "Throttled",
}

// refused returns the vault's error for that of the local server.
func refused(got *dialect.Answer) answer {
	var e api.Error
	if json.Unmarshal(got.Body, &e) != nil {
		e.Message = "the sidecar gave no answer"
	}
	status := got.Status
	switch {
	case e.Code == api.Throttled:
		status = http.StatusTooManyRequests
	case status < http.StatusBadRequest:
		status = http.StatusInternalServerError
	}
	code, known := faults[status]
	if !known {
		code = "InternalServerError"
	}
	translated := fault(status, code, e.Message)
	translated.header = got.Header()
	return translated
}

// fault returns an error in the vault's form.
func fault(status int, code, message string) answer {
	var e struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	e.Error.Code, e.Error.Message = code, message
	text, _ := json.Marshal(e) // strings: no error
	return answer{status: status, body: text, header: http.Header{}}
}
