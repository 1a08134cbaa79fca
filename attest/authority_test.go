package attest

import (
	"errors"
	"testing"

	"skr/internal/refusal"
)

func TestAuthorities(t *testing.T) {
	defaults, err := ParseAuthorities(DefaultAuthorities())
	if err != nil {
		t.Fatal(err)
	}
	emulator, err := ParseAuthorities([]string{"*.attest.localhost:8443", "mine.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		list *Authorities
		text string
		kind error // nil for success
	}{
		{defaults, "sharedeus.eus.attest.azure.net", nil},
		{defaults, "https://sharedeus.eus.attest.azure.net/", nil},
		{defaults, "sharedeus.eus.attest.azure.net/", nil},
		{defaults, "sharedeus.eus.attest.azure.net:443", nil},
		{defaults, "SharedEUS.eus.attest.azure.net", nil},
		{defaults, "shared.uaen.attest.azure.us", nil},
		{defaults, "shared.cne.attest.azure.cn", nil},
		{defaults, "attest.azure.net", refusal.EndpointNotAllowed},
		{defaults, "sharedeus.eus.attest.azure.net.evil.example", refusal.EndpointNotAllowed},
		{defaults, "sharedeus.eus.attest.azure.net:8443", refusal.EndpointNotAllowed},
		{defaults, "vault.azure.net", refusal.EndpointNotAllowed},
		{defaults, "", refusal.BadRequest},
		{defaults, "http://sharedeus.eus.attest.azure.net", refusal.BadRequest},
		{defaults, "evil.example/.attest.azure.net", refusal.BadRequest},
		{defaults, "169.254.169.254", refusal.BadRequest},
		{emulator, "a.attest.localhost:8443", nil},
		{emulator, "a.attest.localhost", refusal.EndpointNotAllowed},
		{emulator, "mine.example.com", nil},
		{new(Authorities), "mine.example.com", refusal.EndpointNotAllowed},
	} {
		authority, err := c.list.Parse(c.text)
		if !errors.Is(err, c.kind) || (err == nil) != (c.kind == nil) {
			t.Errorf("Parse(%q) = %v, %v; want %v", c.text, authority, err, c.kind)
		}
		if err == nil && authority.Issuer() != "https://"+authority.String() {
			t.Errorf("issuer of %q is %q", authority, authority.Issuer())
		}
	}
	if _, err := ParseAuthorities([]string{"https://x"}); err == nil {
		t.Error("a URL was accepted as a pattern")
	}
}

func TestAuthorityIsComparable(t *testing.T) {
	list, err := ParseAuthorities(DefaultAuthorities())
	if err != nil {
		t.Fatal(err)
	}
	one, _ := list.Parse("a.attest.azure.net")
	same, _ := list.Parse("https://a.attest.azure.net:443/")
	if one != same {
		t.Errorf("%v and %v differ", one, same)
	}
}
