package maa

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
)

// Error codes. InvalidParameter, PolicyEvaluationError and Unauthorized are in
// Azure documentation, articles/attestation/troubleshoot-guide. UNCONFIRMED:
// NotFound for an unknown path and InvalidParameter for a missing or unknown
// api-version.
const (
	codeInvalidParameter = "InvalidParameter"
	codeInvalidOperation = "InvalidOperation"
	codePolicyEvaluation = "PolicyEvaluationError"
	codeUnauthorized     = "Unauthorized"
	codeNotFound         = "NotFound"
	codeInternal         = "InternalError"
)

// errorHeaderSince is the first api-version that repeats the code in the header
// x-ms-error-code (Azure REST API specification, attestation 2025-06-01).
const errorHeaderSince = "2025-06-01"

// serviceVersion is the version in answers of September 2026.
const serviceVersion = "1.11.03495.6194"

// problem is an error answer.
type problem struct {
	status  int
	code    string
	message string
}

func (p *problem) Error() string { return p.code + ": " + p.message }

func refuse(code, format string, args ...any) error {
	return &problem{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return refuse(codeInvalidParameter, format, args...)
}

func setServiceHeaders(h http.Header) {
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Server", "Kestrel")
	h.Set("x-ms-request-id", "00-"+randomHex(16)+"-0000000000000000-00")
	h.Set("x-ms-maa-service-version", serviceVersion)
}

// serveJSON returns the handler for a function. Only this handler writes
// answers.
func serveJSON(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := f(r)
		if err != nil {
			answerError(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

func answerError(w http.ResponseWriter, r *http.Request, err error) {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		p = &problem{http.StatusInternalServerError, codeInternal, err.Error()}
	}
	if version := r.URL.Query().Get("api-version"); versionForm.MatchString(version) && version >= errorHeaderSince {
		w.Header().Set("x-ms-error-code", p.code)
	}
	writeJSON(w, p.status, map[string]any{
		"error": map[string]string{"code": p.code, "message": p.message},
	})
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	body, err := marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// marshal returns JSON as the service writes its tokens: without white space,
// with keys in ascending order, and with < > & unescaped.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("maa: writing JSON: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

var versionForm = regexp.MustCompile(`^20\d\d-\d\d-\d\d(-preview)?$`)

// checkVersion accepts any well-formed api-version: the protocol of SevSnpVm
// has not changed from 2020-10-01 to 2025-06-01.
func checkVersion(r *http.Request) error {
	version := r.URL.Query().Get("api-version")
	switch {
	case version == "":
		return invalid("The query parameter api-version is required.")
	case !versionForm.MatchString(version):
		return invalid("The api-version %q is not supported.", version)
	}
	return nil
}

func randomHex(n int) string { return hex.EncodeToString(randomBytes(n)) }

func randomBytes(n int) []byte {
	raw := make([]byte, n)
	rand.Read(raw) // never fails, see crypto/rand
	return raw
}
