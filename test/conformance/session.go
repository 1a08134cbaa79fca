package conformance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"skr/hsm"
	"skr/internal/crash"
	"skr/internal/secmem"
	"skr/releasepolicy"
)

// session is what the checks of one service share.
type session struct {
	service  string // for the report
	host     string
	audience string // of access tokens; "" for a service that needs none
	managed  bool   // it is a Managed HSM
	config   *Config
	suffix   string // of the names of keys
	keys     map[string]*madeKey
	left     leftovers
	machine  *machine
	backup   string   // of the key that the checks purge
	names    []string // what the report must not repeat

	noToken error // why there is no access token

	asked func(w want, number int) // for tests: after each answer that is compared
}

// madeKey is a key that a check has created.
type madeKey struct {
	name, version string
	bundle        any
}

func newSession(c *Config, m *machine) *session {
	return &session{config: c, machine: m, keys: make(map[string]*madeKey), left: make(leftovers), suffix: randomSuffix()}
}

// forVault returns the session of a vault.
func forVault(c *Config, m *machine, v hsm.Vault) *session {
	s := newSession(c, m)
	s.service, s.host, s.audience = v.Flavour().String(), v.String(), v.Audience()
	s.managed = v.Flavour() == releasepolicy.ManagedHSM
	s.names = namesOf(s.host)
	return s
}

// forAuthority returns the session of an attestation service.
func forAuthority(c *Config, m *machine) *session {
	s := newSession(c, m)
	s.service, s.host = "Azure Attestation", c.Authority.String()
	s.names = namesOf(s.host)
	return s
}

// namesOf returns what names the owner of a host: the host, and its first label if it is long enough
// not to be a word of every text.
func namesOf(host string) []string {
	label, _, _ := strings.Cut(host, ".")
	names := []string{host, strings.Split(host, ":")[0]}
	if len(label) > 3 {
		names = append(names, label)
	}
	return names
}

func randomSuffix() string {
	raw := make([]byte, 5)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// keyName returns the name of a key of this run.
func (s *session) keyName(kind string) string {
	return fmt.Sprintf("skr-conformance-%s-%s", strings.ToLower(kind), s.suffix)
}

// token returns the access token of the vault, or a skip. A login that failed is not tried again; one
// that succeeded is asked each time, because tokens expire.
func (s *session) token(ctx context.Context) (secmem.Text, error) {
	if s.noToken != nil {
		return secmem.Text{}, s.noToken
	}
	token, err := s.config.Token(ctx, s.audience)
	switch {
	case ctx.Err() != nil:
		return secmem.Text{}, errInterrupted
	case err != nil:
		s.noToken = &skip{"there is no access token: " + redact(err.Error())}
		return secmem.Text{}, s.noToken
	}
	return token, nil
}

// domain returns the host without what names its owner, or all of it.
func (s *session) domain() string {
	if s.config.Names {
		return s.host
	}
	for _, service := range []string{"attest.", "vault.", "managedhsm."} {
		if i := strings.Index(s.host, "."+service); i > 0 {
			return "*" + s.host[i:]
		}
	}
	return "*"
}

// text removes the names of the session, in any case, and all that redact removes.
func (s *session) text(text string) string {
	text = begin(text)
	for _, name := range s.names {
		text = regexp.MustCompile(`(?i)`+regexp.QuoteMeta(name)).ReplaceAllLiteralString(text, "<name>")
	}
	return redact(strings.ReplaceAll(text, s.suffix, "…"))
}

// exchange describes an exchange for the report.
func (s *session) exchange(r request, a *answer) Exchange {
	e := Exchange{Request: r.describe(), Status: a.status, Headers: shown(a.header)}
	e.Code, e.Inner, e.Message = s.text(a.text("error.code")), s.text(innerCode(a)), s.text(a.text("error.message"))
	switch {
	case a.json != nil:
		e.Shape = shapeOf(a.json)
	case len(a.body) > 0:
		e.Shape = map[string]string{"": fmt.Sprintf("%d bytes that are not JSON", len(a.body))}
	}
	return e
}

// do makes a check with a transport.
func (s *session) do(ctx context.Context, c check, transport http.RoundTripper) Outcome {
	o := Outcome{Service: s.service, Name: c.name, Source: c.source}
	p := &probe{ctx: ctx, s: s, transport: transport}
	err := s.mayRun(ctx, c)
	if err == nil {
		err = crash.Guard(func() error { return c.run(p) }) // whatever happens, the keys are removed
	}
	o.Result, o.Reason, o.Differences = resultOf(err)
	o.Reason = s.text(o.Reason)
	for i := range o.Differences {
		o.Differences[i] = s.text(o.Differences[i])
	}
	o.Expected, o.Exchanges = p.expected, p.exchanges
	return o
}

func (s *session) mayRun(ctx context.Context, c check) error {
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case c.write && !s.config.Write:
		return &skip{"it changes the vault; use --write"}
	case c.machine && s.machine == nil:
		return &skip{"it needs evidence of a machine; use --evidence and --runtime-data"}
	}
	return nil
}
