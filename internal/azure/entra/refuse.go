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

// refuse returns the refusal for an error of MSAL or azidentity. It depends on the recorded answer. The
// text of the error is used only if it cannot contain the body of an answer.
func (id identity) refuse(last *answer, err error) error {
	if id.explain != nil {
		if explained := id.explain(err); explained != nil {
			return explained
		}
	}
	if last.err != nil {
		return id.unreachable(last.err)
	}
	if unread := id.readAssertion(); unread != nil {
		return refusal.Because(refusal.Unavailable, "the token file of the "+id.name+
			" cannot be read; check that the pod's service account token is mounted", unread)
	}
	switch {
	case last.status == 0:
		return refusal.Because(refusal.Unavailable, "the "+id.name+" cannot be used here; see the log", Brief(err))
	case last.status >= http.StatusBadRequest:
		advice := id.adviceFor(last)
		return refusal.Because(id.rejected, fmt.Sprintf("%s gave the %s no access token%s; %s", id.provider, id.name, last.codes(), advice),
			refusal.Advised(last.cause(), advice))
	}
	return refusal.Because(refusal.Untrusted, id.provider+" gave an answer that could not be read", Brief(err))
}

// readAssertion returns an error if the token file cannot be read. MSAL reads it after the request for
// the endpoints of the login service, so the answer does not show it.
func (id identity) readAssertion() error {
	if id.tokenFile == "" {
		return nil
	}
	file, err := os.Open(id.tokenFile)
	if err != nil {
		return err
	}
	return file.Close()
}

// unreachable returns the refusal of httpclient, which names the service.
func (id identity) unreachable(err error) error {
	if refused, ok := errors.AsType[*refusal.Error](err); ok {
		return refused
	}
	return fmt.Errorf("asking for a token of the %s: %w", id.name, err)
}

// codes returns the codes in parentheses, or "".
func (a *answer) codes() string {
	words := strings.TrimSpace(a.code + " " + a.aadsts)
	if words == "" {
		return ""
	}
	return " (" + strings.ReplaceAll(words, " ", ", ") + ")"
}

func (a *answer) cause() error {
	if a.text == "" {
		return fmt.Errorf("status %d%s", a.status, a.codes())
	}
	return fmt.Errorf("status %d%s: %q", a.status, a.codes(), a.text)
}

const maxBrief = 240

// Brief returns the first line of err without anything that may be a token. MSAL quotes bodies from the
// second line on.
func Brief(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(secmem.Excerpt(line, maxBrief))
}
