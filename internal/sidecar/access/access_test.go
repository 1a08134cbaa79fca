package access

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"skr/internal/cache"
	"skr/internal/refusal"
)

var (
	routes = []string{"/key/release", "/attest/maa"}
	keys   = []string{"kafka", "disk"}
)

func newPolicy(t *testing.T, rules ...Rule) *Policy {
	t.Helper()
	p, err := New(Config{Rules: rules, Routes: routes, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// peerContext returns the context of a request whose peer is this process with other
// credentials.
func peerContext(t *testing.T, uid, gid uint32) context.Context {
	t.Helper()
	pidfd, err := unix.PidfdOpen(unix.Getpid(), 0)
	p := &peer{credentials: &unix.Ucred{Pid: 4711, Uid: uid, Gid: gid}}
	p.keep(pidfd, err)
	if p.err != nil {
		t.Fatal(p.err)
	}
	t.Cleanup(p.close)
	return context.WithValue(t.Context(), peerKey{}, p)
}

// wantRefusal checks for the kind and for words of the public text.
func wantRefusal(t *testing.T, err error, words string) {
	t.Helper()
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok || refused.Kind != refusal.CallerNotAllowed || !strings.Contains(refused.Public(), words) {
		t.Errorf("got %v, want a refused caller and %q", err, words)
	}
}

func TestRuleErrorsNameRuleAndField(t *testing.T) {
	good := filepath.Join(t.TempDir(), "token")
	writeFile(t, good, firstToken)
	for name, tc := range map[string]struct {
		change func(*Rule)
		want   string
	}{
		"no name":         {func(r *Rule) { r.Name = "" }, `rule 2 "": name: `},
		"name":            {func(r *Rule) { r.Name = "Kafka" }, `rule 2 "Kafka": name: `},
		"long name":       {func(r *Rule) { r.Name = strings.Repeat("a", 33) }, "name: "},
		"same name":       {func(r *Rule) { r.Name = "first" }, `rule 2 "first": name: another`},
		"nobody":          {func(r *Rule) { r.UID = nil }, `rule 2 "kafka": uid, gid, token_file: `},
		"overflow uid":    {func(r *Rule) { r.UID = new(overflowID("/proc/sys/kernel/overflowuid")) }, `rule 2 "kafka": uid: `},
		"overflow gid":    {func(r *Rule) { r.GID = new(overflowID("/proc/sys/kernel/overflowgid")) }, `rule 2 "kafka": gid: `},
		"no uid":          {func(r *Rule) { r.UID = new(^uint32(0)) }, `uid: 4294967295 stands for no id`},
		"no routes":       {func(r *Rule) { r.Routes = nil }, `rule 2 "kafka": routes: `},
		"unknown route":   {func(r *Rule) { r.Routes = []string{"/key/releases"} }, `rule 2 "kafka": routes: "/key/releases" does not exist`},
		"unknown alias":   {func(r *Rule) { r.Keys = []string{"kafka", "kafak"} }, `rule 2 "kafka": keys: "kafak" does not exist`},
		"star with route": {func(r *Rule) { r.Routes = []string{"*", "/key/release"} }, `routes: "*" must stand alone`},
		"star with alias": {func(r *Rule) { r.Keys = []string{"kafka", "*"} }, `keys: "*" must stand alone`},
		"relative token":  {func(r *Rule) { r.TokenFile = "token" }, `rule 2 "kafka": token_file: the path "token" is not absolute`},
		"absent token":    {func(r *Rule) { r.TokenFile = good + "s" }, `rule 2 "kafka": token_file: `},
		"good":            {func(r *Rule) { r.TokenFile, r.Keys = good, []string{"*"} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rule := Rule{Name: "kafka", UID: new(uint32(1000)), Routes: routes, Keys: keys}
			tc.change(&rule)
			first := Rule{Name: "first", GID: new(uint32(7)), Routes: []string{"*"}}
			_, err := New(Config{Rules: []Rule{first, rule}, Routes: routes, Keys: keys})
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestNumberOfRules(t *testing.T) {
	rules := []Rule{}
	if p, err := New(Config{Rules: rules}); err == nil || p != nil {
		t.Error("an access section without rules was accepted")
	}
	for i := range maxRules {
		rules = append(rules, Rule{Name: fmt.Sprint("rule-", i), UID: new(uint32(i)), Routes: routes})
	}
	p := newPolicy(t, rules...)
	c, err := p.Identify(peerContext(t, maxRules-1, 0), "")
	if err != nil || c.Rule() != "rule-63" || p.MayUse(c, "/key/release") != nil {
		t.Errorf("the last rule gave %v, %v", c, err)
	}
	if _, err := New(Config{Rules: append(rules, Rule{Name: "more", UID: new(uint32(1)), Routes: routes}), Routes: routes}); err == nil {
		t.Error("more rules than bits were accepted")
	}
}

func TestOverflowID(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "other"), "99\n")
	writeFile(t, filepath.Join(dir, "strange"), "none\n")
	for name, want := range map[string]uint32{"other": 99, "strange": 65534, "absent": 65534} {
		if got := overflowID(filepath.Join(dir, name)); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}

func TestIdentify(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	writeFile(t, token, firstToken)
	p := newPolicy(t,
		Rule{Name: "user", UID: new(uint32(1000)), Routes: routes},
		Rule{Name: "group", GID: new(uint32(2000)), Routes: routes},
		Rule{Name: "both", UID: new(uint32(1001)), GID: new(uint32(2001)), Routes: routes},
		Rule{Name: "token", TokenFile: token, Routes: routes},
		Rule{Name: "all", UID: new(uint32(1002)), TokenFile: token, Routes: routes},
	)
	tcp := t.Context()
	for name, tc := range map[string]struct {
		ctx           context.Context
		authorization string
		want          string // Caller.String; "" means a refusal
		limit         string
		matched       uint64
	}{
		"uid":                           {peerContext(t, 1000, 5), "", "uid 1000 gid 5 pid 4711 rule user", "user", 0b00001},
		"gid":                           {peerContext(t, 5, 2000), "", "uid 5 gid 2000 pid 4711 rule group", "group", 0b00010},
		"uid and gid in separate rules": {peerContext(t, 1000, 2000), "", "uid 1000 gid 2000 pid 4711 rule user", "user", 0b00011},
		"both":                          {peerContext(t, 1001, 2001), "", "uid 1001 gid 2001 pid 4711 rule both", "both", 0b00100},
		"half of both":                  {peerContext(t, 1001, 5), "", "", "", 0},
		"nobody":                        {peerContext(t, 5, 5), "", "", "", 0},
		"token on tcp":                  {tcp, "Bearer " + firstToken, "rule token", "token", 0b01000},
		"token on unix":                 {peerContext(t, 5, 5), "Bearer " + firstToken, "uid 5 gid 5 pid 4711 rule token", "token", 0b01000},
		"uid and token":                 {peerContext(t, 1002, 5), "Bearer " + firstToken, "uid 1002 gid 5 pid 4711 rule token", "token", 0b11000},
		"uid without token":             {peerContext(t, 1002, 5), "", "", "", 0},
		"other token":                   {tcp, "Bearer " + secondToken, "", "", 0},
		"no token":                      {tcp, "", "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := p.Identify(tc.ctx, tc.authorization)
			if tc.want == "" {
				wantRefusal(t, err, "no access rule is for")
				if strings.Contains(fmt.Sprint(err), secondToken) || c != (Caller{}) {
					t.Errorf("the refusal reveals too much: %v, %v", c, err)
				}
				return
			}
			if err != nil || c.String() != tc.want || c.Limit() != tc.limit || c.matched != tc.matched {
				t.Errorf("got %v, limit %q, rules %b, %v", c, c.Limit(), c.matched, err)
			}
		})
	}
}

// A rule for root must not admit a TCP connection, whose credentials are zero.
func TestRootRuleIsForRootAlone(t *testing.T) {
	p := newPolicy(t, Rule{Name: "root", UID: new(uint32(0)), GID: new(uint32(0)), Routes: routes})
	_, err := p.Identify(t.Context(), "")
	wantRefusal(t, err, "no access rule is for this caller")
	if _, err := p.Identify(peerContext(t, 0, 0), ""); err != nil {
		t.Error(err)
	}
}

func TestPermissionsAreUnited(t *testing.T) {
	p := newPolicy(t,
		Rule{Name: "user", UID: new(uint32(1000)), Routes: routes[:1], Keys: keys[:1]},
		Rule{Name: "group", GID: new(uint32(2000)), Routes: routes[1:], Keys: keys[1:]},
		Rule{Name: "everything", UID: new(uint32(3)), Routes: []string{"*"}, Keys: []string{"*"}},
		Rule{Name: "no-keys", UID: new(uint32(4)), Routes: []string{"*"}},
	)
	const both, user, group, everything, noKeys = 0b0011, 0b0001, 0b0010, 0b0100, 0b1000
	for _, tc := range []struct {
		matched           uint64
		route, alias      string
		mayUse, mayHave   bool
		useText, haveText string
	}{
		{both, "/key/release", "disk", true, true, "", ""},
		{both, "/attest/maa", "kafka", true, true, "", ""},
		{both, "/attest/raw", "other", false, false, "the routes of access rule user, group do not list",
			"the keys of access rule user, group do not list this alias"},
		{user, "/attest/maa", "kafka", false, true, `the routes of access rule user do not list "/attest/maa"`, ""},
		{group, "/attest/maa", "kafka", true, false, "", `the keys of access rule group do not list this alias`},
		{everything, "/attest/raw", "disk", true, true, "", ""},
		{noKeys, "/key/release", "kafka", true, false, "", `the keys of access rule no-keys do not list this alias`},
		{0, "/key/release", "kafka", false, false, "no access rule", "no access rule"},
	} {
		c := Caller{matched: tc.matched}
		for _, got := range []struct {
			err  error
			may  bool
			text string
		}{{p.MayUse(c, tc.route), tc.mayUse, tc.useText}, {p.MayHave(c, tc.alias), tc.mayHave, tc.haveText}} {
			if got.may != (got.err == nil) {
				t.Errorf("rules %b, %s, %s: %v", tc.matched, tc.route, tc.alias, got.err)
			}
			if !got.may {
				wantRefusal(t, got.err, got.text)
			}
		}
	}
}

func TestWithoutPolicyAllCallersPass(t *testing.T) {
	p, err := New(Config{})
	if p != nil || err != nil {
		t.Fatalf("no access section gave %v, %v", p, err)
	}
	gone := context.WithValue(t.Context(), peerKey{}, &peer{credentials: &unix.Ucred{Pid: 7, Uid: 1000, Gid: 5}, err: errExited})
	for want, ctx := range map[string]context.Context{"loopback": t.Context(), "uid 1000 gid 5 pid 7": gone} {
		c, err := p.Identify(ctx, "Basic of another program")
		if err != nil || c.String() != want || p.MayUse(c, "/x") != nil || p.MayHave(c, "x") != nil || p.Binds() {
			t.Errorf("got %v, %v, binds %v; want %s", c, err, p.Binds(), want)
		}
	}
	if !newPolicy(t, Rule{Name: "user", UID: new(uint32(1000)), Routes: routes}).Binds() {
		t.Error("a policy does not bind the caller")
	}
}

// Self returns the user that runs the process. It matches no rule.
func TestSelf(t *testing.T) {
	want := fmt.Sprintf("uid %d gid %d pid %d", unix.Getuid(), unix.Getgid(), unix.Getpid())
	if got := Self().String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	p := newPolicy(t, Rule{Name: "everything", UID: new(uint32(unix.Getuid())), Routes: []string{"*"}, Keys: []string{"*"}})
	wantRefusal(t, p.MayHave(Self(), "kafka"), "no access rule")
}

func TestCallerInContext(t *testing.T) {
	if c := From(t.Context()); c != (Caller{}) || c.String() != "unknown" || c.Limit() != "unknown" {
		t.Errorf("without a caller: %v, %q", c, c.Limit())
	}
	var none *Policy
	c, _ := none.Identify(peerContext(t, 1000, 5), "")
	got := From(With(t.Context(), c))
	if uid, known := got.UID(); got != c || uid != 1000 || !known || got.PID() != 4711 || got.Limit() != "uid 1000" || got.Rule() != "" {
		t.Errorf("got %v, want %v", got, c)
	}
}

// A caller without access to every key must not have a key pair attested, in any encoding.
func TestMayAttest(t *testing.T) {
	p := newPolicy(t,
		Rule{Name: "one-key", UID: new(uint32(1)), Routes: []string{"*"}, Keys: keys[:1]},
		Rule{Name: "each-key", UID: new(uint32(2)), Routes: []string{"*"}, Keys: keys},
		Rule{Name: "no-key", UID: new(uint32(3)), Routes: []string{"*"}},
		Rule{Name: "every-key", UID: new(uint32(4)), Routes: routes[:1], Keys: []string{"*"}},
	)
	const oneKey, eachKey, noKey, everyKey = 0b0001, 0b0010, 0b0100, 0b1000
	short, long := make([]byte, MaxBound), make([]byte, MaxBound+1)
	for matched, may := range map[uint64]bool{0: false, oneKey: false, eachKey: false, noKey: false, everyKey: true, noKey | everyKey: true} {
		c := Caller{matched: matched}
		if err := p.MayAttest(c, short); err != nil {
			t.Errorf("rules %b: a digest is refused: %v", matched, err)
		}
		err := p.MayAttest(c, long)
		if may && err != nil {
			t.Errorf("rules %b: %v", matched, err)
		}
		if !may {
			wantRefusal(t, err, "send less")
		}
	}
	if err := (*Policy)(nil).MayAttest(Caller{}, long); err != nil {
		t.Errorf("without rules: %v", err)
	}
}

// Unguarded returns rules that allow their callers to attest a key pair, even if only two
// rules together do.
func TestUnguarded(t *testing.T) {
	attesting := []string{"/attest/maa", "/attest/raw"}
	every, maa, release := []string{"*"}, []string{"/attest/maa"}, []string{"/key/release"}
	one, two := new(uint32(1)), new(uint32(2))
	for name, tc := range map[string]struct {
		rules []Rule
		want  string
	}{
		"one rule":        {[]Rule{{Name: "a", UID: one, Routes: maa, Keys: every}}, "a"},
		"all routes":      {[]Rule{{Name: "a", GID: one, Routes: every, Keys: every}}, "a"},
		"a list of keys":  {[]Rule{{Name: "a", UID: one, Routes: every, Keys: keys}}, ""},
		"another route":   {[]Rule{{Name: "a", UID: one, Routes: release, Keys: every}}, ""},
		"one caller":      {[]Rule{{Name: "a", UID: one, Routes: release, Keys: every}, {Name: "b", GID: two, Routes: maa}}, "a"},
		"another user":    {[]Rule{{Name: "a", UID: one, Routes: release, Keys: every}, {Name: "b", UID: two, Routes: maa}}, ""},
		"another group":   {[]Rule{{Name: "a", GID: one, Routes: release, Keys: every}, {Name: "b", GID: two, Routes: maa}}, ""},
		"not these rules": {nil, ""},
	} {
		got, err := New(Config{Rules: tc.rules, Routes: routes, Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		if names := strings.Join(got.Unguarded(attesting), " "); names != tc.want {
			t.Errorf("%s: got %q, want %q", name, names, tc.want)
		}
	}
}

// Cached values are held under the name that limits the caller.
func TestCallersHoldWhatIsKept(t *testing.T) {
	for want, c := range map[string]Caller{"kafka": {rule: "kafka", known: true, uid: 7}, "uid 7": {known: true, uid: 7}, "loopback": {local: true}} {
		if got := cache.Caller(With(t.Context(), c)); got != want {
			t.Errorf("%v holds as %q, want %q", c, got, want)
		}
	}
}
