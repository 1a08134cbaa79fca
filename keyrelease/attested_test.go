package keyrelease

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/crash"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// fakeParties replaces all parties except the Releaser. Each party takes a second.
type fakeParties struct {
	attestations int
	collected    [][]byte      // data that the evidence must bind
	mute         bool          // makes evidence unavailable
	lifetime     time.Duration // lifetime of a token
	refuse       error         // error of the verifier
	identified   []Request     // requested from the identity
	grant        hsm.Grant     // received by the vault
	asked        time.Time     // time of the vault's request
	asking       func()        // called on that request; may be nil
	nobody       error         // error of the identity
	no           error         // error of the vault; nil means errNoVault
}

var errNoVault = errors.New("the fake vault has no keys")

func (p *fakeParties) Evidence(_ context.Context, data []byte) (*attest.Evidence, error) {
	if p.mute {
		return nil, refusal.Newf(refusal.NoEvidence, "no evidence")
	}
	p.collected = append(p.collected, data)
	return &attest.Evidence{RuntimeData: data}, nil
}

func (p *fakeParties) Platform(context.Context) (attest.Platform, error) { return attest.Direct, nil }

func (p *fakeParties) Appraise(_ context.Context, _ attest.Authority, _ *attest.Evidence) (*attest.Result, error) {
	time.Sleep(time.Second)
	if p.refuse != nil {
		return nil, p.refuse
	}
	p.attestations++
	token := secmem.NewText(fmt.Sprintf("token %d", p.attestations))
	return &attest.Result{Token: token, Expires: time.Now().Add(p.lifetime)}, nil
}

func (p *fakeParties) Release(_ context.Context, _ hsm.KeyID, grant hsm.Grant) (*hsm.WrappedKey, error) {
	p.grant, p.asked = grant, time.Now()
	if p.asking != nil {
		p.asking()
	}
	if p.no != nil {
		return nil, p.no
	}
	return nil, errNoVault
}

func (p *fakeParties) AccessToken(_ context.Context, req Request) (secmem.Text, error) {
	if p.nobody != nil {
		return secmem.Text{}, p.nobody
	}
	time.Sleep(time.Second)
	p.identified = append(p.identified, req)
	return secmem.NewText("an access token"), nil
}

func newReleaser(p *fakeParties, maxAge time.Duration) *Releaser {
	return New(Config{Attester: p, Verifier: p, Vault: p, Identity: p, AttestationMaxAge: maxAge})
}

func parseRequest(t *testing.T, authority string) Request {
	t.Helper()
	authorities, err := attest.ParseAuthorities(attest.DefaultAuthorities())
	if err != nil {
		t.Fatal(err)
	}
	vaults, err := hsm.ParseVaults(hsm.DefaultVaults())
	if err != nil {
		t.Fatal(err)
	}
	var req Request
	if req.Authority, err = authorities.Parse(authority); err != nil {
		t.Fatal(err)
	}
	if req.Key, err = vaults.Parse("v.managedhsm.azure.net", "k"); err != nil {
		t.Fatal(err)
	}
	return req
}

func release(t *testing.T, r *Releaser, req Request) {
	t.Helper()
	if _, err := r.Release(t.Context(), req); !errors.Is(err, errNoVault) {
		t.Fatalf("the release ended with %v before the vault", err)
	}
}

func TestAttestedKEKIsReusedWhileFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: 8 * time.Hour}
		r := newReleaser(p, time.Hour)
		req := parseRequest(t, "a.eus.attest.azure.net")
		steps := []struct {
			wait time.Duration
			want int
			why  string
		}{
			{0, 1, "no pair"},
			{time.Minute, 1, "it is fresh"},
			{time.Hour, 2, "it exceeds the maximum age"},
			{30 * time.Minute, 2, "it is fresh again"},
		}
		for _, step := range steps {
			time.Sleep(step.wait)
			if release(t, r, req); p.attestations != step.want {
				t.Errorf("%s: %d attestations, want %d", step.why, p.attestations, step.want)
			}
		}
		if release(t, r, parseRequest(t, "b.eus.attest.azure.net")); p.attestations != 3 {
			t.Errorf("another authority: %d attestations, want 3", p.attestations)
		}
	})
}

func TestAttestedKEKEndsBeforeItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: 20 * time.Minute}
		r := newReleaser(p, time.Hour)
		req := parseRequest(t, "a.eus.attest.azure.net")
		release(t, r, req)
		time.Sleep(14 * time.Minute)
		if release(t, r, req); p.attestations != 1 {
			t.Errorf("six minutes before the end: %d attestations, want 1", p.attestations)
		}
		time.Sleep(2 * time.Minute)
		if release(t, r, req); p.attestations != 2 {
			t.Errorf("four minutes before the end: %d attestations, want 2", p.attestations)
		}
	})
}

func TestZeroAgeAttestsEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: time.Hour}
		r := newReleaser(p, 0)
		req := parseRequest(t, "a.eus.attest.azure.net")
		release(t, r, req)
		if release(t, r, req); p.attestations != 2 {
			t.Errorf("%d attestations, want 2", p.attestations)
		}
	})
}

func TestRefusalIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: time.Hour, refuse: refusal.Newf(refusal.AttestationRejected, "no")}
		r := newReleaser(p, time.Hour)
		req := parseRequest(t, "a.eus.attest.azure.net")
		if _, err := r.Release(t.Context(), req); !errors.Is(err, refusal.AttestationRejected) {
			t.Fatalf("got %v, want the verifier's refusal", err)
		}
		p.refuse = nil
		release(t, r, req)
	})
}

// Setting the clock back must not make an old token valid forever.
func TestPairFromTheFutureIsNotFresh(t *testing.T) {
	p := &fakeParties{lifetime: 8 * time.Hour}
	r := newReleaser(p, time.Hour)
	now := time.Now()
	r.now = func() time.Time { return now }
	pair := &attestedKEK{made: now.Add(time.Minute), result: &attest.Result{Expires: now.Add(time.Hour)}}
	if r.isFresh(pair) {
		t.Error("a pair made in the future is fresh")
	}
}

func TestAuthoritiesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: 8 * time.Hour}
		r := newReleaser(p, time.Hour)
		for i := range maxAuthorities + 4 {
			release(t, r, parseRequest(t, fmt.Sprintf("a%d.eus.attest.azure.net", i)))
		}
		if r.attested.Len() != maxAuthorities {
			t.Errorf("%d pairs are held, want %d", r.attested.Len(), maxAuthorities)
		}
		before := p.attestations
		release(t, r, parseRequest(t, fmt.Sprintf("a%d.eus.attest.azure.net", maxAuthorities+3)))
		if p.attestations != before {
			t.Error("the newest pair was evicted")
		}
	})
}

// The access token is fetched while the attestation runs, with the whole request. The
// Identity chooses between the caller's token and its own.
func TestAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: time.Hour}
		r := newReleaser(p, time.Hour)
		req := parseRequest(t, "a.eus.attest.azure.net")
		req.Access = secmem.NewText("the caller's")
		began := time.Now()
		release(t, r, req)
		if took := p.asked.Sub(began); took != time.Second {
			t.Errorf("the vault was asked after %s, want 1s as both run concurrently", took)
		}
		if len(p.identified) != 1 || p.identified[0].question() != req.question() {
			t.Errorf("the identity was asked for %v", p.identified)
		}
		if p.grant.Access.Reveal() != "an access token" || p.grant.Attestation.Reveal() != "token 1" {
			t.Errorf("access %q, attestation %q", p.grant.Access.Reveal(), p.grant.Attestation.Reveal())
		}
	})
}

// A failed release leaves no pending request for an access token.
func TestRefusedAttestationEndsTheIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{refuse: refusal.Newf(refusal.AttestationRejected, "no")}
		endless := new(endlessIdentity)
		r := New(Config{Attester: p, Verifier: p, Vault: p, Identity: endless, AttestationMaxAge: time.Hour})
		began := time.Now()
		_, err := r.Release(t.Context(), parseRequest(t, "a.eus.attest.azure.net"))
		if took := time.Since(began); !errors.Is(err, refusal.AttestationRejected) || !endless.ended || took != time.Second {
			t.Errorf("got %v after %s; the identity has ended: %v", err, took, endless.ended)
		}
	})
}

// endlessIdentity returns only when its context ends.
type endlessIdentity struct{ ended bool }

func (i *endlessIdentity) AccessToken(ctx context.Context, _ Request) (secmem.Text, error) {
	<-ctx.Done()
	i.ended = true
	return secmem.Text{}, ctx.Err()
}

// A panic in a party becomes an error of the release and does not end the program.
func TestPanicOfAPartyIsAnError(t *testing.T) {
	for name, broken := range map[string]func(*Config){
		"identity": func(c *Config) { c.Identity = nil },
		"verifier": func(c *Config) { c.Verifier = nil },
		"vault":    func(c *Config) { c.Vault = nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &fakeParties{lifetime: time.Hour}
			config := Config{Attester: p, Verifier: p, Vault: p, Identity: p, AttestationMaxAge: time.Hour}
			broken(&config)
			_, err := New(config).Release(t.Context(), parseRequest(t, "a.eus.attest.azure.net"))
			if _, crashed := errors.AsType[*crash.Error](err); !crashed {
				t.Errorf("%s: got %v", name, err)
			}
		})
	}
}

// A pair is made before it is needed and used once. Then the next one is made.
func TestPreparedKEKIsUsedOnce(t *testing.T) {
	r := newReleaser(&fakeParties{lifetime: time.Hour}, 0)
	r.Prepare()
	prepared := r.spare.next
	r.Prepare()
	if r.spare.next != prepared {
		t.Error("a second pair is made")
	}
	first, err := r.newKEK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.newKEK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first != prepared || second.kek == prepared.kek {
		t.Error("the prepared pair must be used, and used once")
	}
	if r.replenish(); r.spare.next == nil {
		t.Error("no pair is made after one was used")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.spare.next = &pair{done: make(chan struct{})}
	if _, err := r.newKEK(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that does not wait for a pair got %v", err)
	}
}

// The next pair is made when the release that used the last one has ended, unless every
// release needs its own.
func TestNextKEKIsMadeBehindTheRelease(t *testing.T) {
	for name, maxAge := range map[string]time.Duration{"reused": time.Hour, "one release": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &fakeParties{lifetime: 8 * time.Hour}
				r := newReleaser(p, maxAge)
				beside := false
				p.asking = func() { beside = r.spare.next != nil }
				release(t, r, parseRequest(t, "a.eus.attest.azure.net"))
				if beside != (maxAge == 0) {
					t.Errorf("while the vault was asked, a pair was being made: %v", beside)
				}
				if r.spare.next == nil {
					t.Fatal("no next pair is made")
				}
				<-r.spare.next.done
			})
		})
	}
}

// The first pair's evidence is collected together with the pair and used if the first
// release comes soon. Later pairs collect evidence on demand.
func TestEvidenceAhead(t *testing.T) {
	for name, c := range map[string]struct {
		maxAge    time.Duration
		wait      time.Duration
		mute      bool  // during the collection ahead
		collected []int // number of collections after each release
	}{
		"at once":                      {time.Hour, 0, false, []int{1, 2}},
		"soon":                         {time.Hour, provenFor - time.Second, false, []int{1, 2}},
		"later":                        {time.Hour, provenFor, false, []int{2, 3}},
		"no evidence":                  {time.Hour, 0, true, []int{1, 2}},
		"attestation for each release": {0, 0, false, []int{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &fakeParties{lifetime: time.Hour, mute: c.mute}
				r := newReleaser(p, c.maxAge)
				r.Prepare()
				kek := r.spare.next
				<-kek.done
				if ahead := len(p.collected) > 0; ahead != (c.maxAge > 0 && !c.mute) {
					t.Errorf("collected ahead: %v", ahead)
				}
				time.Sleep(c.wait)
				p.mute = false
				for i, authority := range []string{"a.eus.attest.azure.net", "b.eus.attest.azure.net"} {
					if release(t, r, parseRequest(t, authority)); len(p.collected) != c.collected[i] {
						t.Errorf("release %d: evidence was collected %d times, want %d", i, len(p.collected), c.collected[i])
					}
				}
				if string(p.collected[0]) != string(kek.kek.RuntimeData()) {
					t.Error("the evidence is not for the pair")
				}
				for _, again := range p.collected[c.collected[0]:] {
					if string(again) == string(kek.kek.RuntimeData()) {
						t.Error("the pair was used twice")
					}
				}
			})
		})
	}
}

// If both the attestation and the identity fail, the attestation's error is returned.
func TestRefusalOfTheEarlierStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: time.Hour, nobody: refusal.Newf(refusal.ReleaseRejected, "no identity")}
		r := newReleaser(p, time.Hour)
		req := parseRequest(t, "a.eus.attest.azure.net")
		if _, err := r.Release(t.Context(), req); !errors.Is(err, refusal.ReleaseRejected) {
			t.Errorf("got %v, want the identity's refusal", err)
		}
		p.refuse = refusal.Newf(refusal.AttestationRejected, "no")
		if _, err := r.Release(t.Context(), parseRequest(t, "b.eus.attest.azure.net")); !errors.Is(err, refusal.AttestationRejected) {
			t.Errorf("got %v, want the authority's refusal", err)
		}
	})
}

// The vault may refuse because the attestation describes an earlier state of the machine.
func TestRefusedPairIsInvalidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: 8 * time.Hour, no: refusal.Newf(refusal.ReleaseRejected, "policy")}
		r := newReleaser(p, time.Hour)
		req := parseRequest(t, "a.eus.attest.azure.net")
		refused := func(wait time.Duration, want int) {
			t.Helper()
			time.Sleep(wait)
			if _, err := r.Release(t.Context(), req); !errors.Is(err, refusal.ReleaseRejected) || p.attestations != want {
				t.Errorf("%v after %d attestations, want %d", err, p.attestations, want)
			}
		}
		refused(0, 1)
		refused(time.Second, 1) // too new to be invalidated
		refused(time.Minute, 1) // invalidated after this one
		refused(0, 2)
		p.no = refusal.Newf(refusal.Unavailable, "down") // which does not concern the pair
		time.Sleep(2 * time.Minute)
		for range 2 {
			if _, err := r.Release(t.Context(), req); !errors.Is(err, refusal.Unavailable) || p.attestations != 2 {
				t.Errorf("%v after %d attestations, want 2", err, p.attestations)
			}
		}
	})
}
