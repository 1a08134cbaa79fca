package verify

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/internal/check"
)

func sample() *Verdict {
	v := newVerdict(Token, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))
	v.record(issuer, "https://maa.example", nil)
	v.record(times, "", errors.New("too late\x1b[2J"))
	v.skip(releasePolicy, "none was given")
	return v.finish("the nonce")
}

func TestText(t *testing.T) {
	var out strings.Builder
	if err := sample().Report().Write(&out, check.Plain); err != nil {
		t.Fatal(err)
	}
	want := "token as of 2026-01-02T03:04:05Z\n" +
		"  ok       issuer          https://maa.example\n" +
		"  FAILED   times           too late\\x1b[2J\n" +
		"           fix: get a new token, check this machine's clock, or look at another time with --at\n" +
		"  skipped  release policy  none was given\n" +
		"not looked at: release policy (none was given); the nonce\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out.Reset()
	if err := sample().Report().Write(&out, check.Coloured); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\x1b["); got != 6 {
		t.Errorf("%d colour sequences, want 6: %q", got, out.String())
	}
}

func TestJSON(t *testing.T) {
	got, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"subject":"token","at":"2026-01-02T03:04:05Z","passed":false,"checks":[` +
		`{"name":"issuer","outcome":"ok","detail":"https://maa.example"},` +
		`{"name":"times","outcome":"failed","detail":"too late\u001b[2J",` +
		`"advice":"get a new token, check this machine's clock, or look at another time with --at"},` +
		`{"name":"release policy","outcome":"skipped","detail":"none was given"}],"not_looked_at":["release policy (none was given)","the nonce"]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The document's table matches the code.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/artefacts.md")
	if err != nil {
		t.Fatal(err)
	}
	var want [][]string
	for _, r := range rules {
		want = append(want, []string{r.name, string(r.subject), r.asks})
	}
	var got [][]string
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| (evidence|token|statement|measured boot) \| ([^|]+) \|$`).FindAllStringSubmatch(string(text), -1) {
		got = append(got, row[1:])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/artefacts.md (-code +document):\n%s", diff)
	}
}
