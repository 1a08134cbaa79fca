package e2e

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"skr/internal/jose/jwk"
	"skr/test/leak"
)

// inspect searches the log after an offset for what must not be there, and checks that
// skr still runs.
func (l *lab) inspect(t *testing.T, s *sidecar, from int) {
	t.Helper()
	listening(t, s)
	log := s.log.String()[from:]
	for _, sign := range []string{"panic", `"level":"ERROR"`, "goroutine ", `"code":"internal"`} {
		if strings.Contains(log, sign) {
			t.Errorf("the log shows a bug: it holds %q", sign)
		}
	}
	if found := leak.Find(log, l.access); found != "" {
		t.Errorf("the log holds the access token: %q", found)
	}
	for _, shape := range []*regexp.Regexp{compactToken, longRun} {
		if found := shape.FindString(log); found != "" {
			t.Errorf("the log may hold a token or evidence: %.300q", found)
		}
	}
}

// compactToken is the form of attestation and access tokens (RFC 7515 section 7.1).
// longRun is longer than a chip ID in hex, and shorter than any evidence.
var (
	compactToken = regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}`)
	longRun      = regexp.MustCompile(`[0-9A-Za-z+/_-]{200,}`)
)

// newestLog is larger than the log of one case.
const newestLog = 256 << 10

// inspectKey searches the log for the secret members of a released key.
func (l *lab) inspectKey(t *testing.T, s *sidecar, text []byte) {
	t.Helper()
	key, err := jwk.Parse(text)
	if err != nil {
		t.Fatalf("the released key: %v", err)
	}
	log := s.log.String()
	log = log[max(0, len(log)-newestLog):] // an earlier release inspected the rest
	for name, member := range map[string]string{"d": key.D, "p": key.P, "q": key.Q, "dp": key.DP, "dq": key.DQ, "qi": key.QI} {
		raw, err := base64.RawURLEncoding.DecodeString(member)
		if err != nil || len(raw) == 0 {
			t.Fatalf("member %s of the released key: %v", name, err)
		}
		if leak.Find(log, member) != "" || leak.Find(log, string(raw)) != "" {
			t.Errorf("the log holds member %s of the released key", name)
		}
	}
}

// TestShapes: the search recognises tokens and evidence.
func TestShapes(t *testing.T) {
	t.Parallel()
	if !compactToken.MatchString("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl") || !longRun.MatchString(strings.Repeat("aB3-_", 40)) {
		t.Error("a token or evidence is not recognised")
	}
}
