package parties_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/azure/httpclient"
	"skr/internal/observe/journal"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/sidecar/parties"
	"skr/keyrelease"
)

// cloud refuses every request if refuse is set.
type cloud struct {
	refuse   error
	audience string
}

func (c *cloud) AccessToken(_ context.Context, audience string) (secmem.Text, error) {
	c.audience = audience
	return secmem.NewText("our own"), c.refuse
}

func (c *cloud) Appraise(context.Context, attest.Authority, *attest.Evidence) (*attest.Result, error) {
	return nil, c.refuse
}

func (c *cloud) Release(context.Context, hsm.KeyID, hsm.Grant) (*hsm.WrappedKey, error) {
	return nil, c.refuse
}

func request(t *testing.T, vault, pattern string) keyrelease.Request {
	t.Helper()
	vaults, err := hsm.ParseVaults([]string{pattern})
	if err != nil {
		t.Fatal(err)
	}
	var req keyrelease.Request
	if req.Key, err = vaults.Parse(vault, "k"); err != nil {
		t.Fatal(err)
	}
	return req
}

// Each party is a stage of the journal that also records its failure.
func TestStages(t *testing.T) {
	for _, refused := range []error{nil, refusal.Newf(refusal.Unavailable, "down")} {
		ctx, notes := journal.With(t.Context(), "")
		c := &cloud{refuse: refused}
		_, appraised := parties.Verifier(c).Appraise(ctx, attest.Authority{}, nil)
		_, identified := parties.Identity(c, nil).AccessToken(ctx, keyrelease.Request{})
		_, released := parties.Vault(c).Release(ctx, hsm.KeyID{}, hsm.Grant{})
		for _, err := range []error{appraised, identified, released} {
			if !errors.Is(err, refused) {
				t.Errorf("got %v, want %v", err, refused)
			}
		}
		var stages []journal.Stage
		for _, span := range notes.Notes().Spans {
			if stages = append(stages, span.Stage); span.End.IsZero() || span.Failed != (refused != nil) {
				t.Errorf("%+v although the party returned %v", span, refused)
			}
		}
		if want := []journal.Stage{journal.Appraise, journal.Identity, journal.Release}; !slices.Equal(stages, want) {
			t.Errorf("stages %v, want %v", stages, want)
		}
	}
}

func TestLooked(t *testing.T) {
	ctx, notes := journal.With(t.Context(), "")
	parties.Looked(ctx, keyrelease.Lookup{Cache: keyrelease.AttestationCache, Hit: true})
	parties.Looked(ctx, keyrelease.Lookup{Cache: keyrelease.KeyCache, Hit: true, Stale: true, Age: time.Hour})
	want := []journal.Lookup{{Cache: journal.Attestation, Hit: true}, {Cache: journal.Key, Hit: true, Stale: true, Age: time.Hour}}
	if got := notes.Notes().Lookups; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A caller's access token is used unchanged. The sidecar's own identity is used only if the
// caller sent none.
func TestIdentity(t *testing.T) {
	c := &cloud{}
	req := request(t, "v.managedhsm.azure.net", "*.managedhsm.azure.net")
	identity := parties.Identity(c, nil)
	token, err := identity.AccessToken(t.Context(), req)
	if err != nil || token.Reveal() != "our own" || c.audience != "https://managedhsm.azure.net" {
		t.Errorf("got %q for the audience %q, %v", token.Reveal(), c.audience, err)
	}
	c.audience = ""
	req.Access = secmem.NewText("the caller's")
	ctx, notes := journal.With(t.Context(), "")
	token, err = identity.AccessToken(ctx, req)
	if err != nil || token.Reveal() != "the caller's" || c.audience != "" || len(notes.Notes().Spans) != 0 {
		t.Errorf("got %q, %v; skr's own identity was asked for %q", token.Reveal(), err, c.audience)
	}
}

// door accepts connections and never answers. knocks gets one element for each.
func door(t *testing.T) (port string, knocks chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	knocks = make(chan struct{}, 8)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			knocks <- struct{}{}
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port, knocks
}

// The connection to the vault is opened as soon as there is an access token for it, from
// the caller or from skr, and not earlier.
func TestVaultIsConnectedAhead(t *testing.T) {
	for name, access := range map[string]string{"own token": "", "the caller's token": "the caller's"} {
		t.Run(name, func(t *testing.T) {
			port, knocks := door(t)
			req := request(t, "v.vault.localhost:"+port, "*.vault.localhost:"+port)
			if access != "" {
				req.Access = secmem.NewText(access)
			}
			transport := httpclient.NewTransport(httpclient.TransportConfig{Roots: x509.NewCertPool()})
			c := &cloud{refuse: refusal.Newf(refusal.Unavailable, "down")}
			if access == "" {
				if _, err := parties.Identity(c, transport.Connect).AccessToken(t.Context(), req); err == nil || len(knocks) > 0 {
					t.Errorf("without a token: %v, %d connections", err, len(knocks))
				}
			}
			c.refuse = nil
			if _, err := parties.Identity(c, transport.Connect).AccessToken(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			select {
			case <-knocks:
			case <-time.After(30 * time.Second):
				t.Fatal("no connection to the vault")
			}
		})
	}
}
