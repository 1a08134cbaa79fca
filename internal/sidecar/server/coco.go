package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"skr/api"
	"skr/attest"
	"skr/hsm"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/sidecar/access"
	"skr/internal/sidecar/coco"
	"skr/keyrelease"
)

// CoCo is what the routes of package coco answer with.
type CoCo struct {
	// Resources by their paths.
	Resources map[string]coco.Resource
	// Authority issues the tokens of the type maa; the zero value means none.
	Authority attest.Authority
	// Version of this program.
	Version string
}

// dialectKey marks the context of a request of [Server.CoCo].
type dialectKey struct{}

// CoCo returns the handler for applications of Confidential Containers, or nil if
// Config.CoCo is nil. Its routes exist for this handler only.
func (s *Server) CoCo() http.Handler {
	if s.config.CoCo == nil {
		return nil
	}
	local := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), dialectKey{}, true)))
	})
	return coco.New(coco.Config{Local: local, Resources: len(s.config.CoCo.Resources) > 0, Trusted: s.trusted})
}

// trusted refuses web pages: most requests of the dialect are GETs of secrets.
func (s *Server) trusted(r *http.Request) error {
	if err := s.checkCaller(r); err != nil {
		return err
	}
	return CheckGet(r)
}

// dialect returns the routes of package coco.
func (s *Server) dialect() map[string]route {
	if s.config.CoCo == nil {
		return nil
	}
	return map[string]route{
		coco.RouteResource:   {method: http.MethodPost, answer: postBody(s.resource)},
		coco.RouteEvidence:   {method: http.MethodPost, answer: postBody(s.verbatim)},
		coco.RouteAdditional: {method: http.MethodPost, answer: postBody(s.additional)},
		coco.RouteToken:      {method: http.MethodPost, answer: postBody(s.cocoToken)},
		coco.RouteAAEL:       {method: http.MethodPost, answer: postBody(s.event)},
		coco.RouteInfo:       {method: http.MethodGet, answer: s.info, open: true},
	}
}

type resourceRequest struct {
	Path string `json:"path"`
}

// resource returns the key that a path stands for, or what the key opens.
func (s *Server) resource(ctx context.Context, r resourceRequest) (body, error) {
	resource, found := s.config.CoCo.Resources[r.Path]
	if !found {
		// A caller that is bound to aliases does not learn which resources exist.
		if err := s.config.Access.MayHave(access.From(ctx), r.Path); err != nil {
			return body{}, err
		}
		return body{}, refusal.Newf(refusal.BadRequest, "the section coco of the configuration has no such resource")
	}
	if err := s.config.Access.MayHave(access.From(ctx), resource.Alias()); err != nil {
		return body{}, s.refused(ctx, resource, s.config.Aliases[resource.Alias()], err)
	}
	content, err := resource.Load()
	if err != nil {
		return body{}, refusal.Because(refusal.BadRequest, "the file of this resource cannot be used, see the log of skr", err)
	}
	key, err := s.contentKey(ctx, resource, content)
	if err != nil {
		return body{}, err
	}
	defer key.Wipe()
	secret, err := content.Give(key)
	if resource.Right() != keyuse.Release {
		err = s.opened(ctx, resource, key, err)
	} else if err != nil {
		err = refusal.Because(refusal.BadRequest, "a key of this type has no such form; the section coco names it", err)
	}
	if err != nil {
		secret.Wipe()
		return body{}, err
	}
	return body{secret: secret, key: key.ID()}, nil
}

// contentKey returns the key of a resource in the version that its file names.
func (s *Server) contentKey(ctx context.Context, resource coco.Resource, content coco.Content) (*hsm.Key, error) {
	d := demand{ReleaseRequest: api.ReleaseRequest{Alias: resource.Alias(), Version: versionOf(content.KeyID())}, right: resource.Right()}
	if d.right == keyuse.Release {
		return s.releaseKey(ctx, d)
	}
	if s.config.Rights[d.Alias].InVault() {
		err := refusal.Newf(refusal.BadRequest, "the key of alias %q stays in its vault; a file needs a key that the sidecar releases", d.Alias)
		return nil, s.refused(ctx, resource, s.config.Aliases[d.Alias], err)
	}
	key, err := s.obtain(ctx, d)
	if err != nil {
		return nil, s.refused(ctx, resource, key.request, err)
	}
	return key.released, nil
}

// refused records that the caller does not receive a resource, and returns the error.
func (s *Server) refused(ctx context.Context, resource coco.Resource, request keyrelease.Request, err error) error {
	if resource.Right() == keyuse.Release {
		return errors.Join(err, s.config.Auditor.Released(ctx, request, nil, err))
	}
	use := Use{Request: request, Operation: resource.Right(), Count: 1, Failed: 1}
	return errors.Join(err, s.config.Auditor.Used(ctx, use, err))
}

// versionOf returns the version in an identifier of a key, or "".
func versionOf(id string) string {
	_, named, _ := strings.Cut(id, "/keys/")
	_, version, _ := strings.Cut(named, "/")
	return version
}

// opened records that a key opened a file, before the caller receives what was in it.
func (s *Server) opened(ctx context.Context, resource coco.Resource, key *hsm.Key, err error) error {
	if err != nil {
		err = refusal.Because(refusal.BadRequest, "the file of this resource does not open with the key of its alias", err)
	}
	use := Use{
		Request: s.config.Aliases[resource.Alias()], Key: key.ID(), PolicyHash: key.PolicyHash(), Operation: resource.Right(), Count: 1,
	}
	if err != nil {
		use.Failed = 1
	}
	return errors.Join(err, s.config.Auditor.Used(ctx, use, err))
}

type dataRequest struct {
	RuntimeData string `json:"runtime_data"`
}

func (r dataRequest) decode() ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(r.RuntimeData)
	if err != nil {
		return nil, refusal.Newf(refusal.BadRequest, "member %q is not base64", "runtime_data")
	}
	return data, nil
}

// verbatim returns evidence that binds the runtime data themselves.
func (s *Server) verbatim(ctx context.Context, r dataRequest) (body, error) {
	data, err := r.decode()
	if err != nil {
		return body{}, err
	}
	if err := s.mayBind(ctx, data); err != nil {
		return body{}, err
	}
	evidence, err := s.config.Evidence.Verbatim(ctx, data)
	if err != nil {
		return body{}, err
	}
	text, err := coco.Evidence(evidence)
	return body{plain: text}, err
}

// mayBind returns an error if a caller that may not have a key pair of its own attested could
// do so with these bytes. Azure's attestation service finds the SHA-256 of a key pair in the
// first 32 bytes of REPORT_DATA, so that 64 bytes, which [Server.mayAttest] allows because it
// hashes them, are too many here. Bytes 17 to 32 that are zero are not of such a hash. On a
// confidential VM, the hash is in the paravisor's claims, and zeros follow it.
func (s *Server) mayBind(ctx context.Context, data []byte) error {
	whole := make([]byte, access.MaxBound+1)
	if s.mayAttest(ctx, whole) == nil {
		return nil // this caller may have a key pair attested
	}
	bound := make([]byte, max(len(data), attest.MaxVerbatim))
	copy(bound, data)
	const half, digest = 16, 32
	if allZero(bound[half:digest]) {
		return nil
	}
	platform, err := s.config.Evidence.Platform(ctx)
	if err != nil {
		return err
	}
	paravisor := platform == attest.ConfidentialVM || platform == attest.ConfidentialTDX
	if paravisor && !allZero(bound[digest:]) {
		return nil
	}
	const reason = "this runtime data could be the hash of a key pair, which evidence would then attest, and %s: " +
		"send at most %d bytes%s, or attest a hash with /attest/raw"
	why, longer := `this caller may not have every key`, ""
	if s.keepsKeys() {
		why = `an alias has ops without "release"`
	}
	if paravisor {
		longer = " or a SHA-384 or SHA-512"
	}
	return refusal.Newf(refusal.CallerNotAllowed, reason, why, half, longer)
}

func allZero(data []byte) bool { return len(bytes.Trim(data, "\x00")) == 0 }

// additional returns nothing: this sidecar attests no further devices.
func (s *Server) additional(_ context.Context, r dataRequest) (body, error) {
	_, err := r.decode()
	return body{plain: []byte{}}, err
}

type tokenRequest struct {
	TokenType   string `json:"token_type"`
	RuntimeData string `json:"runtime_data"`
}

// cocoToken returns a token of Azure's attestation service over the runtime data, or over an
// empty object.
func (s *Server) cocoToken(ctx context.Context, r tokenRequest) (body, error) {
	switch {
	case r.TokenType == "kbs" || r.TokenType == "coco_as":
		return body{}, refusal.Newf(refusal.BadRequest, "%s token config not configured in config file; "+
			"this sidecar has no Key Broker Service: token_type=maa returns a token of Azure's attestation service", r.TokenType)
	case r.TokenType != "maa":
		return body{}, refusal.Newf(refusal.BadRequest, "Unsupported token type; this sidecar has maa")
	case s.config.CoCo.Authority == attest.Authority{}:
		return body{}, refusal.Newf(refusal.BadRequest, "maa token config not configured: set authority in the section coco")
	}
	data, err := dataRequest{r.RuntimeData}.decode()
	if err != nil {
		return body{}, err
	}
	if len(data) == 0 {
		data = []byte("{}")
	}
	if err := s.mayAttest(ctx, data); err != nil {
		return body{}, err
	}
	result, err := s.config.Tokens.Token(ctx, s.config.CoCo.Authority, data)
	if err != nil {
		return body{}, err
	}
	return body{plain: []byte(result.Token.Reveal())}, nil
}

type noRequest struct{}

// event tells that no event is logged.
func (s *Server) event(ctx context.Context, _ noRequest) (body, error) {
	platform, err := s.config.Evidence.Platform(ctx)
	if err != nil {
		return body{}, err
	}
	if platform.HasTPM() {
		return body{plain: []byte(coco.NotEnabled)}, nil
	}
	return body{plain: []byte(coco.NotSupported)}, nil
}

// info returns the version and the name of the hardware.
func (s *Server) info(ctx context.Context, _ []byte) (body, error) {
	platform, err := s.config.Evidence.Platform(ctx)
	if err != nil {
		return body{}, err
	}
	feature := "all"
	if len(s.config.CoCo.Resources) == 0 {
		feature = "attestation"
	}
	return encode(struct {
		Version string `json:"version"`
		TEE     string `json:"tee,omitempty"`
		Feature string `json:"feature"`
	}{s.config.CoCo.Version, coco.TEE(platform), feature})
}
