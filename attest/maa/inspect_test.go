package maa

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/internal/jose/jwk"
)

// tokenOf returns a token of the service as an operator may have it in a file.
func tokenOf(t *testing.T, s *service) *Token {
	t.Helper()
	result, err := s.client.Appraise(t.Context(), s.authority, newEvidence(t, runtimeData))
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseUnverified(result.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Each fault fails its own check.
func TestInspect(t *testing.T) {
	s := newService(t)
	token := tokenOf(t, s)
	own, foreign := plain(t, keyName, &rsaKeys()[0].PublicKey), plain(t, keyName, &rsaKeys()[1].PublicKey)
	named := func(key jwk.Key, kid string) jwk.Key { key.Kid = kid; return key }
	verify := func(keys ...jwk.Key) error { return token.VerifySignature(&Keys{keys}) }
	for _, c := range []struct {
		name string
		err  error
		want string // "" if no check fails
	}{
		{"online", s.client.VerifyToken(t.Context(), s.authority, token), ""},
		{"first of two keys with one id", verify(foreign, own), "verif"},
		{"only the token's own key", verify(own), ""},
		{"key without id", verify(named(own, "")), ""},
		{"keys without id", verify(named(own, ""), named(own, "")), "none of the keys has"},
		{"foreign key", verify(foreign), "verif"},
		{"another id", verify(named(own, "2")), "none of the keys has the token's key id"},
		{"no keys", verify(), "none of the keys has"},
		{"key for encryption", verify(func() jwk.Key { k := own; k.Use = "enc"; return k }()), "not for signatures"},
		{"issuer", token.CheckIssuer(s.authority), ""},
		{"another issuer", token.CheckIssuer(authorityOf(t, "other.example")), `want "https://other.example"`},
		{"times", token.CheckTimes(now), ""},
		{"expired", token.CheckTimes(now.Add(9 * time.Hour)), "expired"},
		{"early", token.CheckTimes(now.Add(-time.Hour)), "not valid yet"},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, c.err, c.want)
		}
	}
	if token.Issuer() != s.authority.Issuer() {
		t.Errorf("issuer %q", token.Issuer())
	}
}

// Algorithms that no authority uses are refused even with the right key.
func TestInspectAlgorithm(t *testing.T) {
	text, err := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{}).SignedString(rsaKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseUnverified(text)
	if err != nil {
		t.Fatal(err)
	}
	err = token.VerifySignature(&Keys{[]jwk.Key{plain(t, "", &rsaKeys()[0].PublicKey)}})
	if err == nil || !strings.Contains(err.Error(), `signed with "PS256"`) {
		t.Errorf("got %v", err)
	}
	if err := token.CheckTimes(now); err == nil || !strings.Contains(err.Error(), "lacks a required claim") {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"", "e30.W10.AAAA", strings.Repeat("e", maxToken+1)} {
		if _, err := ParseUnverified(bad); err == nil {
			t.Errorf("%.10q was accepted", bad)
		}
	}
}
