package conformance

import (
	"context"
	"net/http"

	"skr/internal/secmem"
)

const (
	stable        = "7.4" // the api-version of checks that need no other
	withRelease   = "7.3"
	withEvidence  = "7.6" // the first with key attestation
	beforeRelease = "7.2"
)

// challenge returns what the answer to a request without a valid access token must be.
func (s *session) challenge() want {
	w := refused(http.StatusUnauthorized, "Unauthorized")
	if s.managed {
		w = want{status: []int{http.StatusUnauthorized}, empty: true}
	}
	return w.with(map[string]string{
		"Www-Authenticate": `^Bearer authorization="https://[^"/]+/[0-9a-f-]{36}", resource="https://(vault|managedhsm)\.[^"/]+"$`,
	})
}

// accessChecks are made without a valid access token.
func accessChecks(s *session) []check {
	list := request{method: http.MethodGet, path: "/keys", api: stable, anonymous: true}
	create := request{method: http.MethodPost, path: "/keys/{key}/create", key: "skr-conformance", api: stable, anonymous: true}
	missing := s.challenge()
	if !s.managed {
		missing = missing.saying("AKV10000")
	}
	with := func(token string) request {
		r := list
		r.token = secmem.NewText(token)
		return r
	}
	return []check{
		{name: "no access token", source: docAuth + "; " + recordedGo, run: one(list, missing)},
		{name: "no access token and no body", source: "the SDKs send the first request of a client so; " + recordedGo, run: one(create, missing)},
		{name: "the challenge names the audience", source: docAuth, run: challengeAudience},
		{name: "an access token that is no token", source: docAuth, run: one(with("skr-conformance"), s.challenge())},
		{name: "a forged access token", source: docAuth, run: one(with(forgedToken(s.audience)), s.challenge())},
		{name: "an access token for another audience", source: docAuth, run: func(p *probe) error { return p.foreign(list) }},
		{name: "an expired access token", source: docAuth, run: func(p *probe) error {
			expired, found := s.config.Expired[s.audience]
			return p.refusedToken(list, found, "an expired token for this service: use --expired-token-file",
				func(context.Context) (secmem.Text, error) { return expired, nil })
		}},
	}
}

func challengeAudience(p *probe) error {
	p.expect("resource is the audience that tokens are requested for")
	got, err := p.ask(request{method: http.MethodGet, path: "/keys", api: stable, anonymous: true}, want{status: []int{http.StatusUnauthorized}})
	if err != nil {
		return err
	}
	if resource := attribute(got.header.Get("Www-Authenticate"), "resource"); resource != p.s.audience {
		return p.differ("resource is %q", redact(resource))
	}
	return nil
}

// foreign sends a token for another service only to a host for which Entra ID also issues one: no other
// host of --vault-allow gets it.
func (p *probe) foreign(r request) error {
	if _, err := p.s.token(p.ctx); err != nil {
		return err
	}
	return p.refusedToken(r, p.s.config.Foreign != nil, "a login: a token file is for one audience", p.s.config.Foreign)
}

// refusedToken sends a token that the service must refuse.
func (p *probe) refusedToken(r request, found bool, needs string, get func(context.Context) (secmem.Text, error)) error {
	if !found {
		return &skip{"it needs " + needs}
	}
	token, err := get(p.ctx)
	if err != nil {
		return &skip{"there is no such token: " + redact(err.Error())}
	}
	r.token = token
	_, err = p.ask(r, p.s.challenge())
	return err
}
