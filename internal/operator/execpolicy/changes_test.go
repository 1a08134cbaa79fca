package execpolicy

import (
	"slices"
	"strings"
	"testing"
)

const imported = `{"feed": "r.example/app", "includes": ["containers"], "minimum_svn": "1",
	"issuer": "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::subject:CN:Contoso"}`

func group(t *testing.T, fragments string, containers ...string) *Policy {
	t.Helper()
	p, err := Parse([]byte("package policy\nfragments := [" + fragments + "]\ncontainers := [" + strings.Join(containers, ",") + "]\n"))
	if err != nil || p.Unread != nil {
		t.Fatal(err, p.Unread)
	}
	return p
}

func TestDiff(t *testing.T) {
	one, two := `{"name": "app", "id": "r.example/app:1", "layers": ["aa"]}`, `{"name": "app", "id": "r.example/app:2", "layers": ["bb"]}`
	pause := `{"name": "pause", "layers": ["cc"]}`
	for name, c := range map[string]struct {
		before, after *Policy
		want          []string // beginnings of changes
		avoidable     bool
	}{
		"the same": {group(t, imported, one, pause), group(t, imported, pause, one), nil, false},
		"another build": {group(t, "", one, pause), group(t, "", two, pause),
			[]string{`-container "app" of r.example/app:1`, `+container "app" of r.example/app:2`}, true},
		"another variable": {group(t, "", one), group(t, "", one[:len(one)-1]+`, "env_rules": [{"pattern": "A=1"}]}`), []string{"-container", "+container"}, true},
		"a new image":      {group(t, "", pause), group(t, "", pause, two), []string{`+container "app"`}, false},
		"without a name":   {group(t, "", pause), group(t, "", `{"name": "pause", "layers": ["dd"]}`), []string{"-container", "+container"}, false},
		"a fragment in place": {group(t, "", one), group(t, imported),
			[]string{"-container", `+admits any container that "Contoso" signs for feed r.example/app with svn ≥ 1`}, false},
		"another svn": {group(t, imported), group(t, strings.Replace(imported, `"1"`, `"2"`, 1)),
			[]string{"-admits any container", "+admits any container"}, false},
		"another signer": {group(t, imported), group(t, strings.Replace(imported, "I__i", "J__i", 1)), []string{"-admits", "+admits"}, false},
		"twice":          {group(t, "", pause, pause), group(t, "", pause), []string{"-container"}, false},
	} {
		var got []string
		for _, change := range Diff(c.before, c.after) {
			if change.Before != "" {
				got = append(got, "-"+change.Before)
			} else {
				got = append(got, "+"+change.After)
			}
		}
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		found := Avoidable(c.before, c.after)
		if (len(found) == 1) != c.avoidable || c.avoidable && (found[0].Rule != "hash-changed" || !strings.Contains(found[0].Text, "r.example/app;")) {
			t.Errorf("%s: findings %v, want one: %t", name, found, c.avoidable)
		}
	}
}
