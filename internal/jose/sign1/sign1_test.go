package sign1

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"skr/test/uvmtest"
)

const limit = 64 << 10

func newMessage(t testing.TB) (*uvmtest.Endorser, *uvmtest.Envelope) {
	t.Helper()
	signer, err := uvmtest.NewEndorser()
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := signer.Envelope([48]byte{1}, 7, "registry.example/app")
	if err != nil {
		t.Fatal(err)
	}
	return signer, envelope
}

func signed(t testing.TB, envelope *uvmtest.Envelope) []byte {
	t.Helper()
	raw, err := envelope.Sign()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestVerify(t *testing.T) {
	signer, envelope := newMessage(t)
	envelope.Payload = []byte("package app")
	raw := signed(t, envelope)
	m, err := Verify(raw, limit)
	if err != nil {
		t.Fatal(err)
	}
	if m.Issuer != signer.Issuer() || m.Feed != "registry.example/app" || string(m.Payload) != "package app" || len(m.Chain) != 3 || m.Claims != nil {
		t.Errorf("verified %+v", m)
	}
	if _, found, err := m.SVN(); found || err != nil {
		t.Errorf("an svn was found, or %v", err)
	}
	if _, err := Verify(raw, len(raw)-1); err == nil || !strings.Contains(err.Error(), "are more than") {
		t.Errorf("beyond the limit: %v", err)
	}
	m, err = Verify(signed(t, signer.BareEnvelope([48]byte{1}, 7, "f")), limit)
	if err != nil {
		t.Fatal(err)
	}
	if svn, found, err := m.SVN(); svn != 7 || !found || err != nil || m.Feed != "f" {
		t.Errorf("svn %d, %t, %v, feed %q", svn, found, err, m.Feed)
	}
}

// Each refusal has its sentinel; see attest/uvm for what is malformed.
func TestVerifyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*uvmtest.Endorser, *uvmtest.Envelope)
		want  error
	}{
		"another root": {func(_ *uvmtest.Endorser, v *uvmtest.Envelope) {
			other, _ := uvmtest.NewEndorser()
			v.Protected[LabelIssuer] = other.Issuer()
		}, ErrIssuer},
		"another key": {func(_ *uvmtest.Endorser, v *uvmtest.Envelope) {
			v.Key, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		}, ErrSignature},
		"chain without the pinned CA": {func(_ *uvmtest.Endorser, v *uvmtest.Envelope) {
			v.Protected[LabelX5Chain] = v.Protected[LabelX5Chain].([]any)[:2]
		}, ErrIssuer},
	} {
		signer, envelope := newMessage(t)
		c.spoil(signer, envelope)
		if _, err := Verify(signed(t, envelope), limit); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	_, envelope := newMessage(t)
	raw := signed(t, envelope)
	altered := bytes.Replace(raw, []byte("guestsvn"), []byte("guestsvm"), 1)
	if _, err := Verify(altered, limit); !errors.Is(err, ErrSignature) {
		t.Errorf("altered payload: %v", err)
	}
}

func TestIssuerNames(t *testing.T) {
	a := newAuthority()
	a.leaf.Subject.CommonName = "Contoso (Ünit 1)"
	chain := a.chain(t)
	name, err := SubjectIssuer(chain)
	if want := nameOf(chain[2], "::subject:CN:Contoso%20%28%C3%9Cnit%201%29"); err != nil || name != want {
		t.Errorf("got %s, %v, want %s", name, err, want)
	}
	d, err := ParseDID(name)
	if err != nil || d.CommonName() != "Contoso (Ünit 1)" || d.Purpose() != "" {
		t.Errorf("common name %q, purpose %q, %v", d.CommonName(), d.Purpose(), err)
	}
	name, err = PurposeIssuer(chain, "1.3.6.1.5.5.7.3.3")
	if want := nameOf(chain[2], "::eku:1.3.6.1.5.5.7.3.3"); err != nil || name != want {
		t.Errorf("got %s, %v, want %s", name, err, want)
	}
	if d, err := ParseDID(name); err != nil || d.Purpose() != "1.3.6.1.5.5.7.3.3" || d.CommonName() != "" {
		t.Errorf("common name %q, purpose %q, %v", d.CommonName(), d.Purpose(), err)
	}
	for what, name := range map[string]func() (string, error){
		"a purpose that the leaf lacks": func() (string, error) { return PurposeIssuer(chain, "1.2.3") },
		"no object identifier":          func() (string, error) { return PurposeIssuer(chain, "code signing") },
		"two policies":                  func() (string, error) { return PurposeIssuer(chain, "1.3.6.1.5.5.7.3.3::subject:C:US") },
		"the leaf alone":                func() (string, error) { return SubjectIssuer(chain[:1]) },
		"out of order":                  func() (string, error) { return SubjectIssuer([]*x509.Certificate{chain[0], chain[2], chain[1]}) },
		"nothing":                       func() (string, error) { return SubjectIssuer(nil) },
	} {
		if made, err := name(); err == nil {
			t.Errorf("%s: made %s", what, made)
		}
	}
	a.leaf.Subject.CommonName = ""
	if name, err := SubjectIssuer(a.chain(t)); err == nil {
		t.Errorf("without a common name: made %s", name)
	}
}

func FuzzVerify(f *testing.F) {
	signer, envelope := newMessage(f)
	f.Add(signed(f, envelope))
	f.Add(signed(f, signer.BareEnvelope([48]byte{1}, 7, "f")))
	f.Add([]byte{0xd2, 0x84, 0x40, 0xa0, 0x40, 0x40})
	f.Add([]byte{0xd2, 0x84, 0x43, 0xa1, 1, 0x26, 0xa0, 0xf6, 0x41, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Verify(raw, limit)
		if err == nil && (m.Issuer == "" || m.Feed == "" || len(m.Chain) < 2) {
			t.Errorf("verified %+v", m)
		}
	})
}
