package releasepolicy

import (
	"slices"
	"strings"
	"testing"
)

func TestUnmet(t *testing.T) {
	const nested = `{"version":"1.0.0","anyOf":[
		{"authority":"https://a.attest.azure.net/","allOf":[
			{"claim":"x","equals":"1"},
			{"anyOf":[{"claim":"y","equals":"1"},{"allOf":[{"claim":"y","equals":"2"},{"claim":"z","exists":"true"}]}]}]},
		{"authority":"https://b.attest.azure.net","anyOf":[{"claim":"w","greater":5}]}]}`
	const otherIssuer = "iss equals https://a.attest.azure.net or https://b.attest.azure.net, not https://c.attest.azure.net"
	for name, tc := range map[string]struct {
		policy, issuer, claims string
		want                   []string
	}{
		"met":                     {nested, "https://a.attest.azure.net", `{"x":"1","y":"1"}`, nil},
		"met by the other branch": {nested, "https://a.attest.azure.net", `{"x":1,"y":"2","z":0}`, nil},
		"one of all":              {nested, "https://a.attest.azure.net", `{"x":"2","y":"1"}`, []string{"x equals 1, not 2"}},
		"no alternative":          {nested, "https://a.attest.azure.net", `{"x":"1","y":"2"}`, []string{"y equals 1, not 2", "z exists true, absent"}},
		"nothing": {nested, "https://a.attest.azure.net", `{}`,
			[]string{"x equals 1, absent", "y equals 1, absent", "y equals 2, absent", "z exists true, absent"}},
		"only the issuer's branch":  {nested, "https://b.attest.azure.net", `{"w":5}`, []string{"w greater 5, not 5"}},
		"another issuer":            {nested, "https://c.attest.azure.net", `{"x":"1","y":"1","w":9}`, []string{otherIssuer}},
		"one of two met by another": {nested, "https://c.attest.azure.net", `{}`, []string{otherIssuer}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := evaluate(mustPolicy(t, tc.policy), tc.issuer, []byte(tc.claims))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range e.Unmet() {
				text := c.Claim + " " + string(c.Operator) + " " + c.Value.Text
				if c.Absent {
					text += ", absent"
				} else {
					text += ", not " + c.Actual
				}
				got = append(got, text)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestUnmetIsBounded(t *testing.T) {
	conditions := strings.Repeat(`{"claim":"x","equals":"1"},`, 3*maxUnmet)
	p := mustPolicy(t, `{"version":"1.0.0","anyOf":[{"authority":"https://a.example","allOf":[`+strings.TrimSuffix(conditions, ",")+`]}]}`)
	e, err := evaluate(p, "https://a.example", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(e.Unmet()); got != maxUnmet {
		t.Errorf("%d are reported, want %d", got, maxUnmet)
	}
}
