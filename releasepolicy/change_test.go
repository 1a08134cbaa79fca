package releasepolicy

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// two is a policy of two authorities.
func two(first, second string) string {
	return `{"version":"1.0","anyOf":[{"authority":"https://a/",` + first + `},{"authority":"https://b",` + second + `}]}`
}

func body(condition string) string {
	return `"allOf":[` + condition + `,{"claim":"s","greaterOrEquals":3}]`
}

func TestAllow(t *testing.T) {
	cases := []struct{ name, before, after string }{
		{"one value", at(own, is("h", "1"), is("d", "false")), at(own, anyOf(is("h", "1"), is("h", "9")), is("d", "false"))},
		{"a list", at(own, anyOf(is("h", "1"), is("h", "2"))), at(own, anyOf(is("h", "1"), is("h", "2"), is("h", "9")))},
		{"all authorities", two(body(is("h", "1")), body(is("h", "2"))),
			two(body(anyOf(is("h", "1"), is("h", "9"))), body(anyOf(is("h", "2"), is("h", "9"))))},
		{"only where it is missing", two(body(is("h", "9")), body(is("h", "2"))), two(body(is("h", "9")), body(anyOf(is("h", "2"), is("h", "9"))))},
		{"nested lists", at(own, allOf(anyOf(is("h", "1")))), at(own, allOf(anyOf(is("h", "1"), is("h", "9"))))},
		{"two lists", at(own, is("h", "1"), anyOf(is("h", "1"), is("h", "9"))), at(own, anyOf(is("h", "1"), is("h", "9")), anyOf(is("h", "1"), is("h", "9")))},
		{"a root that lists", two(`"anyOf":[`+is("h", "1")+`]`, body(is("h", "9"))), two(`"anyOf":[`+is("h", "1")+`,`+is("h", "9")+`]`, body(is("h", "9")))},
		{"allowed already", at(own, anyOf(is("h", "1"), is("h", "9"))), at(own, anyOf(is("h", "1"), is("h", "9")))},
		{"not restricted", at(own, is("d", "1")), at(own, is("d", "1"))},
		{"branches", at(own, anyOf(allOf(is("h", "1"), is("s", "1")), allOf(is("h", "2"), is("s", "2")))), ""},
		{"a mixed list", at(own, anyOf(is("h", "1"), allOf(is("h", "2"), is("s", "2")))), ""},
		{"excluded", at(own, is("h", "1"), `{"claim":"h","notEquals":"9"}`), ""},
	}
	for _, c := range cases {
		before := mustPolicy(t, c.before)
		got, err := before.Allow("h", "9")
		if c.after == "" {
			if !errors.Is(err, ErrShape) {
				t.Errorf("%s: %v, want %v", c.name, err, ErrShape)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(string(mustPolicy(t, c.after).Normalised(KeyVault)), string(got.Normalised(KeyVault))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if (got == before) != (c.before == c.after) {
			t.Errorf("%s: an unchanged policy must be the same value, and only that", c.name)
		}
	}
}

func TestRetire(t *testing.T) {
	cases := []struct {
		name, before, after string
		err                 error
	}{
		{"of two", at(own, anyOf(is("h", "1"), is("h", "9")), is("d", "0")), at(own, is("h", "1"), is("d", "0")), nil},
		{"of three", at(own, anyOf(is("h", "1"), is("h", "9"), is("h", "2"))), at(own, anyOf(is("h", "1"), is("h", "2"))), nil},
		{"twice in a list", at(own, anyOf(is("h", "9"), is("h", "1"), is("h", "9"))), at(own, is("h", "1")), nil},
		{"an authority's only value", two(body(is("h", "9")), body(is("h", "2"))),
			`{"version":"1.0","anyOf":[{"authority":"https://b",` + body(is("h", "2")) + `}]}`, nil},
		{"a branch", at(own, anyOf(allOf(is("h", "1"), is("s", "1")), allOf(is("h", "9"), is("s", "2")))), at(own, allOf(is("h", "1"), is("s", "1"))), nil},
		{"absent", at(own, is("h", "1")), at(own, is("h", "1")), nil},
		{"the last", at(own, is("h", "9")), "", ErrLast},
		{"not named", at(own, is("d", "1")), "", ErrShape},
		{"admitted otherwise", at(own, anyOf(is("h", "9"), is("d", "1"))), "", ErrShape},
		{"admitted by a comparison", at(own, anyOf(is("h", "9"), `{"claim":"h","greater":"8"}`)), "", ErrShape},
	}
	for _, c := range cases {
		before := mustPolicy(t, c.before)
		got, err := before.Retire("h", "9")
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if err != nil || c.err != nil {
			continue
		}
		if diff := cmp.Diff(string(mustPolicy(t, c.after).Normalised(KeyVault)), string(got.Normalised(KeyVault))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestChangeAuthorities(t *testing.T) {
	one := mustPolicy(t, at("https://a/", is("h", "1")))
	both, err := one.AllowAuthority("https://b")
	if err != nil || len(both.Authorities()) != 2 || both.Authorities()[1] != "https://b" {
		t.Fatalf("%v, %v", both, err)
	}
	if again, err := both.AllowAuthority("https://a"); err != nil || again != both {
		t.Errorf("a trusted authority was added again: %v", err)
	}
	back, err := both.RetireAuthority("https://b/")
	if err != nil || len(Diff(one, back)) != 0 {
		t.Errorf("%v, %v", Diff(one, back), err)
	}
	if same, err := back.RetireAuthority("https://c"); err != nil || same != back {
		t.Errorf("an authority that is not trusted was removed: %v", err)
	}
	if _, err := one.RetireAuthority("https://a"); !errors.Is(err, ErrLast) {
		t.Error(err)
	}
	if _, err := mustPolicy(t, two(body(is("h", "1")), body(is("h", "2")))).AllowAuthority("https://c"); !errors.Is(err, ErrShape) {
		t.Error(err)
	}
}

func TestListed(t *testing.T) {
	for _, c := range []struct {
		policy string
		values []string
		all    bool
	}{
		{at(own, anyOf(is("h", "2"), is("h", "1"))), []string{"1", "2"}, false},
		{two(body(is("h", "1")), body(is("h", "2"))), []string{"1", "2"}, false},
		{at(own, is("h", "1"), is("h", "2")), nil, false}, // never met
		{at(own, is("d", "1")), nil, true},
		{two(body(is("h", "1")), body(is("d", "2"))), []string{"1"}, true},
		{at(own, `{"claim":"h","notEquals":"1"}`), nil, true},
		{at(own, `{"claim":"h","exists":true}`), nil, true},
	} {
		values, all := mustPolicy(t, c.policy).Listed("h")
		if diff := cmp.Diff(c.values, values); diff != "" || all != c.all {
			t.Errorf("%s: all %t\n%s", c.policy, all, diff)
		}
	}
	p := mustPolicy(t, two(body(is("h", "1")), body(anyOf(is("h", "1"), is("d", "2")))))
	if !p.Requires("https://a", "h") || p.Requires("https://b", "h") || !p.Requires("https://b", "s") || p.Requires("https://c", "h") {
		t.Error("a required claim is one without which no token meets the authority")
	}
	if diff := cmp.Diff([]string{"d", "h", "s"}, p.Claims()); diff != "" {
		t.Error(diff)
	}
}

func TestLosses(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		want          []Loss
	}{
		"none":         {at(own, is("h", "1")), at(own, anyOf(is("h", "1"), is("h", "2"))), nil},
		"wider":        {at(own, is("h", "1"), is("d", "0")), at(own, is("h", "1")), nil},
		"lower":        {at(own, `{"claim":"s","greaterOrEquals":5}`), at(own, `{"claim":"s","greaterOrEquals":4}`), nil},
		"equal is met": {at(own, is("s", "5")), at(own, `{"claim":"s","greaterOrEquals":4}`), nil},
		"a value":      {at(own, anyOf(is("h", "1"), is("h", "2"))), at(own, is("h", "1")), []Loss{{Authority: own, Claim: "h", Value: "2"}}},
		"exchanged":    {at(own, is("h", "1")), at(own, is("h", "2")), []Loss{{Authority: own, Claim: "h", Value: "1"}}},
		"a condition":  {at(own, is("h", "1")), at(own, is("h", "1"), is("d", "0")), []Loss{{Authority: own, Unmet: "d equals 0"}}},
		"higher": {at(own, `{"claim":"s","greaterOrEquals":4}`), at(own, `{"claim":"s","greaterOrEquals":5}`),
			[]Loss{{Authority: own, Unmet: "s greaterOrEquals 5"}}},
		"an authority": {two(body(is("h", "1")), body(is("h", "1"))), at("https://a", is("h", "1")), []Loss{{Authority: "https://b"}}},
		"a branch": {at(own, anyOf(allOf(is("h", "1"), is("s", "1")), allOf(is("h", "2"), is("s", "2")))), at(own, is("h", "1"), is("s", "1")),
			[]Loss{{Authority: own, Unmet: "h equals 1"}, {Authority: own, Unmet: "s equals 1"}}},
	} {
		got := Losses(mustPolicy(t, c.before), mustPolicy(t, c.after))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, loss := range got {
			if !strings.HasPrefix(loss.String(), "pods ") {
				t.Errorf("%s: %s", name, loss)
			}
		}
	}
}

func TestWidenings(t *testing.T) {
	minimum := func(n string) string { return `{"claim":"s","greaterOrEquals":` + n + `}` }
	for name, c := range map[string]struct{ before, after, want string }{
		"the same":            {at(own, is("h", "1"), minimum("5")), at(own, is("h", "1"), minimum("5")), ""},
		"another value":       {at(own, is("h", "1")), at(own, anyOf(is("h", "1"), is("h", "2"))), ""},
		"narrower":            {at(own, is("h", "1"), minimum("5")), at(own, is("h", "1"), minimum("6"), is("d", "0")), ""},
		"a claim":             {at(own, is("h", "1"), is("d", "false")), at(own, is("h", "1")), "d dropped"},
		"an alternative":      {at(own, is("h", "1"), is("d", "false")), at(own, anyOf(is("h", "1"), is("d", "false"))), "d dropped, h dropped"},
		"a minimum":           {at(own, minimum("5")), at(own, minimum("4")), "s 4"},
		"a minimum of a list": {at(own, is("s", "5")), at(own, minimum("5")), "s 6"},
		"any but one":         {at(own, is("h", "1")), at(own, `{"claim":"h","notEquals":"2"}`), "h 0"},
		"exists":              {at(own, is("d", "false")), at(own, `{"claim":"d","exists":true}`), "d true"},
		"a new authority":     {at("https://a", is("h", "1"), is("d", "0")), two(body(is("h", "1")+","+is("d", "0")), body(is("h", "1"))), "d dropped"},
		"an equal authority":  {at("https://a", is("h", "1")), two(body(is("h", "1")), body(is("h", "1"))), ""},
		"of one of two":       {two(body(is("h", "1")), body(is("d", "1"))), two(body(is("s", "1")), body(is("d", "1"))), "h dropped"},
	} {
		var got []string
		for _, w := range Widenings(mustPolicy(t, c.before), mustPolicy(t, c.after)) {
			if w.Dropped {
				w.Value = "dropped"
			}
			got = append(got, w.Claim+" "+w.Value)
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
}

// A changed policy says what was asked for, and an inverse change brings back the first meaning.
func FuzzChange(f *testing.F) {
	for _, text := range []string{
		aciPolicy, at(own, is("h", "1")), two(body(is("h", "1")), body(anyOf(is("h", "1"), is("h", "9")))),
		at(own, anyOf(allOf(is("h", "1"), is("s", "1")), allOf(is("h", "9"), is("s", "2")))), at(own, `{"claim":"h","notEquals":"9"}`),
		at(own, is("h", "1"), `{"claim":"h","equals":9}`), at(own, anyOf(is("h", "9"), is("d", "1"))),
	} {
		f.Add([]byte(text), "h", "9")
	}
	f.Fuzz(func(t *testing.T, text []byte, claim, value string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		admitting := len(p.Admits(claim, value))
		wider, err := p.Allow(claim, value)
		if err == nil {
			if len(wider.Admits(claim, value)) != len(p.roots) {
				t.Fatalf("%s does not admit %q in %q", wider.Raw(), value, claim)
			}
			if losses := Losses(p, wider); len(losses) > 0 {
				t.Fatalf("allowing loses %v", losses)
			}
			if widenings := Widenings(p, wider); len(widenings) > 0 {
				t.Fatalf("a value that is listed widens %v", widenings)
			}
		}
		narrower, retired := p.Retire(claim, value)
		if retired == nil && len(narrower.Admits(claim, value)) != 0 {
			t.Fatalf("%s admits %q in %q", narrower.Raw(), value, claim)
		}
		if err != nil || admitting > 0 {
			return
		}
		if back, err := wider.Retire(claim, value); err == nil && len(Losses(p, back)) > 0 {
			t.Fatalf("allowed and retired, it loses %v", Losses(p, back))
		}
	})
}
