package e2e

import (
	"strings"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

// TestLapsedKeysAreReleased: outside of its validity a key is released as Azure releases it,
// and the log says so once for each version.
func TestLapsedKeysAreReleased(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	s := start(t, cloud.Environment(cloud.Machine())).ready(t)
	key := func(name string, attributes map[string]any) string {
		return createKey(t, cloud, vault, emulator.KeySpec{Name: name, Kty: "EC-HSM", Curve: "P-256", Attributes: attributes})
	}
	past, future := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	warnings := map[string]string{ // by key identifier
		key("expired", map[string]any{"exp": past}):              "the vault releases a key that expired at",
		key("early", map[string]any{"nbf": future}):              "the vault releases a key that is not valid before",
		key("valid", map[string]any{"nbf": past, "exp": future}): "",
	}
	for range 3 {
		for _, name := range []string{"expired", "early", "valid"} {
			if _, err := s.client.Release(t.Context(), api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: name}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	second := key("expired", map[string]any{"exp": past})
	warnings[second] = "the vault releases a key that expired at"
	if _, err := s.client.Release(t.Context(), api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: "expired"}); err != nil {
		t.Error(err)
	}
	eventually(t, "the log has the last warning", func() bool { // a line comes after its answer
		log := s.log.String()
		at := strings.LastIndex(log, "the vault releases a key")
		return at >= 0 && strings.Contains(log[at:], second)
	})
	for id, words := range warnings {
		said := 0
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, "the vault releases a key") && strings.Contains(line, id) {
				said++
				if words == "" || !strings.Contains(line, words) || !strings.Contains(line, `"level":"WARN"`) {
					t.Errorf("%s: %s", id, line)
				}
			}
		}
		if want := min(len(words), 1); said != want {
			t.Errorf("%s: %d warnings, want %d", id, said, want)
		}
	}
}
