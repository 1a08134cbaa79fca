package server

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"skr/api"
	"skr/attest"
	"skr/hsm"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/sidecar/ops"
	"skr/keyrelease"
)

// Evidence collects evidence of what this machine is. Its errors are refusals.
type Evidence interface {
	// Report returns a report that binds runtimeData, without endorsements.
	Report(ctx context.Context, runtimeData []byte) (*attest.Evidence, error)
	// Evidence returns a report and everything that it was verified with.
	Evidence(ctx context.Context, runtimeData []byte) (*attest.Evidence, error)
	// Verbatim returns evidence that binds data themselves, and not their hash.
	Verbatim(ctx context.Context, data []byte) (*attest.Evidence, error)
	// Platform returns what kind of machine this is.
	Platform(ctx context.Context) (attest.Platform, error)
}

// Tokens returns attestation tokens. Its errors are refusals.
type Tokens interface {
	// Token returns a verified token of authority over runtimeData.
	Token(ctx context.Context, authority attest.Authority, runtimeData []byte) (*attest.Result, error)
}

// Releaser releases keys. Its errors are refusals.
type Releaser interface {
	// Release returns a key, which the caller wipes.
	Release(ctx context.Context, request keyrelease.Request) (*hsm.Key, error)
}

// Authorities is the allow-list of authorities.
type Authorities interface {
	// Parse refuses with BadRequest for a wrong form, and with EndpointNotAllowed for a
	// name that the list does not allow.
	Parse(text string) (attest.Authority, error)
}

// Vaults is the allow-list of vaults and keys.
type Vaults interface {
	// Parse refuses with BadRequest for a wrong form, and with EndpointNotAllowed for a
	// name that the list does not allow.
	Parse(vault, kid string) (hsm.KeyID, error)
}

var (
	_ Evidence    = (*attest.Attester)(nil)
	_ Authorities = (*attest.Authorities)(nil)
	_ Vaults      = (*hsm.Vaults)(nil)
	_ Releaser    = (*keyrelease.Releaser)(nil)
)

// table returns every route. The path is compared as it was sent, except for one slash at
// its end: it is not cleaned, unescaped or redirected.
func (s *Server) table() map[string]route {
	return map[string]route{
		api.RouteStatus:   {method: http.MethodGet, answer: get(s.status), open: true},
		api.RouteReady:    {method: http.MethodGet, answer: s.ready, open: true},
		api.RouteRaw:      {method: http.MethodPost, answer: post(s.raw)},
		api.RouteCombined: {method: http.MethodPost, answer: post(s.combined)},
		api.RouteMAA:      {method: http.MethodPost, answer: post(s.token)},
		api.RouteRelease:  {method: http.MethodPost, answer: postBody(s.release), key: true},
		api.RouteWatch:    {method: http.MethodGet, watch: s.watch},
		api.RoutePublic:   {method: http.MethodPost, answer: post(s.public)},
		api.RouteEncrypt:  {method: http.MethodPost, answer: s.operation(keyuse.Encrypt)},
		api.RouteDecrypt:  {method: http.MethodPost, answer: s.operation(keyuse.Decrypt)},
		api.RouteWrap:     {method: http.MethodPost, answer: s.operation(keyuse.WrapKey)},
		api.RouteUnwrap:   {method: http.MethodPost, answer: s.operation(keyuse.UnwrapKey)},
		api.RouteSign:     {method: http.MethodPost, answer: s.operation(keyuse.Sign)},
		api.RouteVerify:   {method: http.MethodPost, answer: s.operation(keyuse.Verify)},
	}
}

// status answers 200 also while skr is not ready, as drop-in clients expect.
func (s *Server) status() api.StatusResponse {
	status := api.StatusResponse{Message: api.StatusOK, Problems: s.config.Problems()}
	if err := s.config.Parts.Err(); err != nil {
		s.config.Logger.Debug("not ready", "error", err)
		status.Message = api.StatusNotOK
	}
	return status
}

// textKey marks the context of a request for the readiness that asks for lines.
type textKey struct{}

// ready answers probes, which read only the status code. "Not ready" is an answer and not
// a refusal: it is no error in the log and the metrics.
func (s *Server) ready(ctx context.Context, _ []byte) (body, error) {
	readiness := s.config.Parts.Answer(func(part string, err error) {
		s.config.Logger.Debug("not ready", "part", part, "error", err)
	})
	answer, err := encode(readiness)
	if ctx.Value(textKey{}) != nil {
		answer = body{plain: []byte(readiness.Lines()), media: ops.TextType}
	}
	if !readiness.Ready {
		answer.status = http.StatusServiceUnavailable
	}
	return answer, err
}

func (s *Server) raw(ctx context.Context, r api.RawRequest) (api.RawResponse, error) {
	data, err := s.runtimeData(ctx, r.RuntimeData)
	if err != nil {
		return api.RawResponse{}, err
	}
	evidence, err := s.config.Evidence.Report(ctx, data)
	if err != nil {
		return api.RawResponse{}, err
	}
	return RawResponse(evidence), nil
}

func (s *Server) combined(ctx context.Context, r api.CombinedRequest) (api.CombinedResponse, error) {
	data, err := s.runtimeData(ctx, r.RuntimeData)
	if err != nil {
		return api.CombinedResponse{}, err
	}
	evidence, err := s.config.Evidence.Evidence(ctx, data)
	if err != nil {
		return api.CombinedResponse{}, err
	}
	return CombinedResponse(evidence, s.config.UVMEndorsements), nil
}

func (s *Server) token(ctx context.Context, r api.MAARequest) (api.MAAResponse, error) {
	data, err := s.runtimeData(ctx, r.RuntimeData)
	if err != nil {
		return api.MAAResponse{}, err
	}
	authority, err := s.parseAuthority(r.MAAEndpoint)
	if err != nil {
		return api.MAAResponse{}, err
	}
	result, err := s.config.Tokens.Token(ctx, authority, data)
	if err != nil {
		return api.MAAResponse{}, err
	}
	return TokenResponse(result), nil
}

func (s *Server) parseAuthority(endpoint string) (attest.Authority, error) {
	if err := required("maa_endpoint", endpoint); err != nil {
		return attest.Authority{}, err
	}
	return s.config.Authorities.Parse(endpoint)
}

func required(member, value string) error {
	if value == "" {
		return refusal.Newf(refusal.BadRequest, "member %q is missing or empty", member)
	}
	return nil
}

// runtimeData returns the data to attest, if the caller may have it attested.
func (s *Server) runtimeData(ctx context.Context, text string) ([]byte, error) {
	data, err := parseRuntimeData(text)
	if err != nil {
		return nil, err
	}
	return data, s.mayAttest(ctx, data)
}

// oneAlphabet converts what clients send to standard base64: either alphabet, and the line
// ends of MIME encoders (RFC 2045 section 6.8).
var oneAlphabet = strings.NewReplacer("-", "+", "_", "/", "\r", "", "\n", "")

// parseRuntimeData parses base64 of either alphabet, with or without padding. Unused bits may
// be set, as in the reference sidecar: each text still has one meaning.
func parseRuntimeData(text string) ([]byte, error) {
	if err := required("runtime_data", text); err != nil {
		return nil, err
	}
	digits := oneAlphabet.Replace(text)
	if len(digits)%4 == 0 {
		digits = strings.TrimSuffix(strings.TrimSuffix(digits, "="), "=")
	}
	data, err := base64.RawStdEncoding.DecodeString(digits)
	if err != nil || len(data) == 0 {
		return nil, refusal.Newf(refusal.BadRequest, "member %q is not base64 of at least one byte", "runtime_data")
	}
	return data, nil
}
