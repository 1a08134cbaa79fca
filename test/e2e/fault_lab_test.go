package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

const (
	// served is the outcome of a harmless fault.
	served api.Code = ""
	// late is the outcome if the sidecar waits or retries until the deadline. The timing of
	// the last attempt decides whether the deadline passed or all attempts failed.
	late api.Code = "timeout or unavailable"
)

// lab is a cloud with a key, and the secrets that must not appear in any output.
type lab struct {
	cloud  *emulator.Cloud
	vault  string
	access string
}

func newLab(t *testing.T, config emulator.Config) *lab {
	t.Helper()
	cloud := program.Cloud(t, config)
	l := &lab{cloud: cloud, vault: cloud.Host("demo", "vault")}
	createKey(t, cloud, l.vault, emulator.KeySpec{Name: "k", Size: 2048})
	var err error
	if l.access, err = cloud.AccessToken(l.vault); err != nil {
		t.Fatal(err)
	}
	return l
}

// request returns a good request, with the caller's access token.
func (l *lab) request() api.ReleaseRequest {
	return api.ReleaseRequest{MAAEndpoint: l.cloud.AttestationHost(), AKVEndpoint: l.vault, KID: "k", AccessToken: api.Secret(l.access)}
}

// sidecar starts a sidecar that attests for each release and logs at level debug. Its log
// is searched for secrets, crashes and bugs when the test ends.
func (l *lab) sidecar(t *testing.T, env ...string) *sidecar {
	t.Helper()
	all := append(l.cloud.Environment(l.cloud.Machine()),
		"SKR_ATTESTATION_MAX_AGE=0", "SKR_REQUEST_TIMEOUT="+requestTimeout.String(), "SKR_LOG_LEVEL=debug")
	s := startListening(t, append(all, env...))
	s.timeout = requestTimeout
	t.Cleanup(func() { l.inspect(t, s, 0) })
	return s
}

// startListening starts skr, and tries another port if another process has taken the
// first one.
func startListening(t *testing.T, env []string) *sidecar {
	t.Helper()
	const tries = 5
	for try := 1; ; try++ {
		s := start(t, env)
		up, ended := false, false
		eventually(t, "skr listens or ends", func() bool {
			select {
			case <-s.exited:
				ended = true
			default:
				up = strings.Contains(s.log.String(), `"listening"`)
			}
			return up || ended
		})
		if !ended {
			return s
		}
		if try == tries || !strings.Contains(s.log.String(), "address already in use") {
			t.Fatalf("skr ended: %s", s.log)
		}
	}
}

// expect requests a release and expects this outcome in time.
func (l *lab) expect(t *testing.T, s *sidecar, request api.ReleaseRequest, want api.Code) {
	t.Helper()
	begin := time.Now()
	text, err := s.client.Release(t.Context(), request)
	judgeAnswer(t, s, err, want, time.Since(begin))
	if err == nil {
		l.inspectKey(t, s, text)
	}
}

// expectOf does the same for one part of the pipeline.
func expectOf(t *testing.T, s *sidecar, ask asking, request api.ReleaseRequest, want api.Code) {
	t.Helper()
	begin := time.Now()
	err := ask(t.Context(), s, request)
	judgeAnswer(t, s, err, want, time.Since(begin))
}

// judgeAnswer compares the outcome of a request with the expected row of the error table.
func judgeAnswer(t *testing.T, s *sidecar, err error, want api.Code, took time.Duration) {
	t.Helper()
	if took > s.timeout+answerSlack {
		t.Errorf("answered after %v, the deadline is %v", took, s.timeout)
	}
	if want == served {
		if err != nil {
			t.Errorf("got %v after %v, want success", err, took)
		}
		return
	}
	refused, ok := errors.AsType[*api.Error](err)
	if ok && want == late && (refused.Code == api.Timeout || refused.Code == api.Unavailable) {
		want = refused.Code
	}
	switch {
	case !ok:
		t.Errorf("got %v after %v, want code %q", err, took, want)
	case refused.Code != want:
		t.Errorf("got code %q (%s) after %v, want %q", refused.Code, refused.Message, took, want)
	case refused.Status != want.HTTPStatus() || refused.RequestID == "" || refused.Message == "":
		t.Errorf("the answer is not a row of the error table: %+v", refused)
	case want == api.Throttled && refused.RetryAfter < time.Second:
		t.Errorf("throttled without a Retry-After: %v", refused.RetryAfter)
	case strings.Contains(refused.Message, "eyJ") || longRun.MatchString(refused.Message):
		t.Errorf("the answer may hold a secret: %s", refused.Message)
	}
}
