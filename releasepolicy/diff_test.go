package releasepolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const own = "https://mine.weu.attest.azure.net"

func TestDiff(t *testing.T) {
	cases := []struct {
		name, a, b string
		want       []Change
	}{
		{"order and nesting", at(own, is("a", "1"), is("b", "2")), at(own+"/", allOf(is("b", "2"), anyOf(is("a", "1"))), is("a", "1")), nil},
		{"types", at(own, is("a", "true")), at(own, `{"claim":"a","equals":true}`), nil},
		{"groups", at(own, anyOf(is("a", "1"), anyOf(is("b", "2")))), at(own, anyOf(is("b", "2"), is("a", "1"), is("a", "1"))), nil},
		{"value", at(own, is("a", "1"), is("b", "2")), at(own, is("a", "3"), is("b", "2")), []Change{{own, "a equals 1", "a equals 3"}}},
		{"operator", at(own, is("a", "1")), at(own, `{"claim":"a","greater":1}`), []Change{{own, "a equals 1", "a greater 1"}}},
		{"alternative", at(own, is("a", "1")), at(own, anyOf(is("a", "1"), is("a", "2"))),
			[]Change{{own, "a equals 1", "any of (a equals 1; a equals 2)"}}},
		{"added and removed", at(own, is("a", "1"), is("b", "1")), at(own, is("b", "1"), is("c", "x y")),
			[]Change{{own, "a equals 1", ""}, {own, "", `c equals "x y"`}}},
		{"authority", at("https://a", is("a", "1")), at("https://b", is("a", "1"), is("b", "1")),
			[]Change{{"https://a", "a equals 1", ""}, {"https://b", "", "all of (a equals 1; b equals 1)"}}},
		{"kind", at(own, is("a", "1"), is("b", "1")), at(own, anyOf(is("a", "1"), is("b", "1"))),
			[]Change{{own, "a equals 1", ""}, {own, "b equals 1", ""}, {own, "", "any of (a equals 1; b equals 1)"}}},
		{"quotes", at(own, `{"claim":"a\"equals\"b","equals":"c"}`), at(own, `{"claim":"a","equals":"b\"equals\"c"}`),
			[]Change{{own, `a"equals"b equals c`, ""}, {own, "", `a equals "b"equals"c"`}}},
	}
	for _, c := range cases {
		a, b := mustPolicy(t, c.a), mustPolicy(t, c.b)
		if diff := cmp.Diff(c.want, Diff(a, b)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if back := Diff(b, a); len(back) != len(c.want) {
			t.Errorf("%s: reversed it is %v", c.name, back)
		}
	}
}

func FuzzDiff(f *testing.F) {
	f.Add([]byte(aciPolicy), []byte(onePolicy(is("a", "1"))))
	f.Add([]byte(at(own, anyOf(is("a", "1"), is("b", "2")))), []byte(at(own, allOf(is("a", "1")))))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		a, err := Parse(before)
		if err != nil {
			return
		}
		if again, err := Parse(a.Normalised(KeyVault)); err != nil || len(Diff(a, again)) > 0 {
			t.Fatalf("a policy differs from its normal form: %v", err)
		}
		if b, err := Parse(after); err == nil && (len(Diff(a, b)) > 0) != (len(Diff(b, a)) > 0) {
			t.Fatal("only one direction of Diff finds a difference")
		}
	})
}
