package hsm

import (
	"strings"
	"testing"
	"time"

	"skr/internal/azure/endpoint"
)

// A statement that an operator inspects must meet the rules of a release.
func TestInspect(t *testing.T) {
	v := newVault(t)
	request := &recorded{path: "/keys/" + keyName + "/release"}
	request.body.Enc = "RSA_AES_KEY_WRAP_256"
	text := v.answerTo(request).statement(t)
	s, err := ParseStatement(text)
	if err != nil {
		t.Fatal(err)
	}
	if algorithm, length := s.Wrapping(); s.Key() != v.kid+"/"+keyVersion || s.Host().String() != v.host || algorithm != "RSA_AES_KEY_WRAP_256" ||
		length <= 256 || len(s.Certificates()) != 3 {
		t.Errorf("%s on %s, %d bytes by %s, %d certificates", s.Key(), s.Host(), length, algorithm, len(s.Certificates()))
	}
	own, other := s.Host(), hostOf(t, "other.example")
	for _, c := range []struct {
		name string
		err  error
		want string // "" if no check fails
	}{
		{"good", s.VerifySignature(own, v.root.pool(), clock), ""},
		{"later", s.VerifySignature(own, v.root.pool(), clock.Add(100*24*time.Hour)), "verifying the certificate chain"},
		{"another vault", s.VerifySignature(other, v.root.pool(), clock), "verifying the certificate chain"},
		{"the system's roots", s.VerifySignature(own, nil, clock), "verifying the certificate chain"},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, c.err, c.want)
		}
	}
	input := text[:strings.LastIndexByte(text, '.')]
	forged, err := ParseStatement(input + ".AAAA")
	if err != nil {
		t.Fatal(err)
	}
	if forged.VerifySignature(own, v.root.pool(), clock) == nil {
		t.Error("a forged signature verified")
	}
	for _, bad := range []string{"", "e30.e30.AAAA", text + "="} {
		if _, err := ParseStatement(bad); err == nil || !strings.HasPrefix(err.Error(), "parsing release statement: ") {
			t.Errorf("%.20q: got %v", bad, err)
		}
	}
}

func hostOf(t *testing.T, name string) endpoint.Host {
	t.Helper()
	host, err := endpoint.ParseHost(name)
	if err != nil {
		t.Fatal(err)
	}
	return host
}
