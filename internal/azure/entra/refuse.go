package entra

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"skr/internal/refusal"
	"skr/internal/secmem"
)

// refuse turns azidentity's error into a refusal. What the wire said decides;
// azidentity's own text is used only where it cannot hold an answer's body.
func (id identity) refuse(seen *answer, err error) error {
	if id.explain != nil {
		if explained := id.explain(err); explained != nil {
			return explained
		}
	}
	if seen.err != nil {
		return id.unreachable(seen.err)
	}
	if unread := id.readAssertion(); unread != nil {
		return refusal.Because(refusal.Unavailable, "the token file of the "+id.name+
			" cannot be read; check that the pod's service account token is mounted", unread)
	}
	switch {
	case seen.status == 0:
		return refusal.Because(refusal.Unavailable, "the "+id.name+" cannot be used here; see the log", Brief(err))
	case seen.status >= http.StatusBadRequest:
		advice := id.adviceFor(seen)
		return refusal.Because(id.rejected, fmt.Sprintf("%s gave the %s no access token%s; %s", id.provider, id.name, seen.codes(), advice),
			refusal.Advised(seen.cause(), advice))
	}
	return refusal.Because(refusal.Untrusted, id.provider+" gave an answer that could not be read", Brief(err))
}

// readAssertion says why the token file cannot be read. azidentity reads it after
// it has asked for the login service's endpoints, so no answer tells of it.
func (id identity) readAssertion() error {
	if id.kind != workload {
		return nil
	}
	file, err := os.Open(id.tokenFile)
	if err != nil {
		return err
	}
	return file.Close()
}

// unreachable passes httpclient's refusal on: it names the service.
func (id identity) unreachable(err error) error {
	if refused, ok := errors.AsType[*refusal.Error](err); ok {
		return refused
	}
	return fmt.Errorf("asking for a token of the %s: %w", id.name, err)
}

// codes in parentheses, or nothing.
func (a *answer) codes() string {
	words := strings.TrimSpace(a.code + " " + a.aadsts)
	if words == "" {
		return ""
	}
	return " (" + strings.ReplaceAll(words, " ", ", ") + ")"
}

func (a *answer) cause() error {
	if a.said == "" {
		return fmt.Errorf("status %d%s", a.status, a.codes())
	}
	return fmt.Errorf("status %d%s: %q", a.status, a.codes(), a.said)
}

const maxBrief = 240

// Brief is the first line of err without anything that may be a token: MSAL
// quotes bodies from the second line on.
func Brief(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(secmem.Excerpt(line, maxBrief))
}
