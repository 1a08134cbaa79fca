package verify_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/test/rsakey"
	"skr/test/snptest"
	"skr/test/vtpmtest"
)

// If a part is removed, the verdict fails unless no check relied on it. No combination
// passes without the required parts.
func TestPlan(t *testing.T) {
	m := newMachine(t)
	good := m.evidence(t, snptest.Options{})
	for taken := range 1 << 5 {
		e, lacks := good, func(bit int) bool { return taken>>bit&1 != 0 }
		if lacks(0) {
			e.Report = nil
		}
		if lacks(1) {
			e.Chain = nil
		}
		if lacks(2) {
			e.RuntimeData = nil
		}
		if lacks(3) {
			e.InitTimeData = nil
		}
		if lacks(4) {
			e.Endorsement = nil
		}
		v := verify.OfEvidence(verify.Given{Evidence: e}, m.silicon, time.Now())
		if want := !lacks(0) && !lacks(1); v.Passed != want {
			t.Errorf("without %05b: passed %t, want %t: %q", taken, v.Passed, want, v.Failures())
		}
		unseen := strings.Join(v.NotLookedAt, "; ")
		for bit, name := range map[int]string{2: "runtime data", 3: "init-time data", 4: "UVM endorsement"} {
			if strings.Contains(unseen, name+" (") != lacks(bit) {
				t.Errorf("without %05b: not looked at: %s", taken, unseen)
			}
		}
	}
}

// The caller's own data and chain must be verified in addition to those of the file.
func TestGiven(t *testing.T) {
	m := newMachine(t)
	other := chainOf(t, must(m.chip.Vendor().NewChip())(t))
	good := m.evidence(t, snptest.Options{})
	bare := inspect.Evidence{Report: good.Report}
	confidential := must(inspect.Recognise(must(vtpmtest.HCL(m.chip, vtpmtest.Claims(must(vtpmtest.NewAK())(t).Public(), true), vtpmtest.HCLOptions{}))(t)))(t)
	hcl, _ := confidential.Evidence()
	broken := []inspect.Part{{Kind: inspect.Report}, {Path: "x", Err: errors.New(`"x": it cannot be read`)}}
	for _, c := range []struct {
		name   string
		given  verify.Given
		want   []string
		unseen string
	}{
		{"data", verify.Given{Evidence: bare, GivenChain: m.chain, GivenData: []byte(claims)}, nil, ""},
		{"other data", verify.Given{Evidence: bare, GivenChain: m.chain, GivenData: []byte("x")}, []string{"runtime data"}, ""},
		{"other data than the file's", verify.Given{Evidence: good, GivenData: []byte("x")}, []string{"runtime data"}, ""},
		{"right data beside wrong data in the file",
			verify.Given{Evidence: inspect.Evidence{Report: good.Report, RuntimeData: []byte("x")}, GivenChain: m.chain, GivenData: []byte(claims)},
			[]string{"runtime data"}, ""},
		{"empty data", verify.Given{Evidence: bare, GivenChain: m.chain, GivenData: []byte{}}, []string{"runtime data"}, ""},
		{"data without a report", verify.Given{GivenChain: m.chain, GivenData: []byte(claims)}, []string{"report"}, ""},
		{"data that are not the user data", verify.Given{Evidence: hcl, GivenChain: m.chain, GivenData: []byte("x")}, []string{"runtime data"}, ""},
		{"another chain", verify.Given{Evidence: good, GivenChain: other}, []string{"chip and TCB", "report signature"}, "the chain that came with the evidence"},
		{"chain beside a broken one", verify.Given{Evidence: bare, GivenChain: m.chain, Parts: broken}, []string{"contents"}, ""},
		{"unused parts", verify.Given{Evidence: good, Parts: []inspect.Part{{Path: "a", Kind: inspect.MAAToken}, {Path: "b"}}}, nil,
			`"a" (MAA token); "b" (not recognised)`},
		{"data for a report", verify.Given{Evidence: good, Parts: []inspect.Part{{Path: "a", Bound: true}}}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verify.OfEvidence(c.given, m.silicon, time.Now())
			if got := causes(v); !slices.Equal(got, c.want) || v.Passed != (c.want == nil) {
				t.Errorf("failed: %q, want %q", got, c.want)
			}
			if got := strings.Join(v.NotLookedAt, "; "); !strings.Contains(got, c.unseen) {
				t.Errorf("not looked at: %s", got)
			}
		})
	}
}

// On a confidential VM, the user data in the claims bind the caller's data.
func TestUserData(t *testing.T) {
	m := newMachine(t)
	data := []byte("the caller's")
	bound := snp.Bind(data)
	text := fmt.Sprintf(`{"keys":[],"user-data":"%X"}`, bound[:])
	found := must(inspect.Recognise(must(vtpmtest.HCL(m.chip, []byte(text), vtpmtest.HCLOptions{}))(t)))(t)
	e, _ := found.Evidence()
	for given, want := range map[string]bool{string(data): true, text: true, "x": false} {
		v := verify.OfEvidence(verify.Given{Evidence: e, GivenChain: m.chain, GivenData: []byte(given), Parts: found.Parts()}, m.silicon, time.Now())
		if v.Passed != want {
			t.Errorf("%q: passed %t: %+v", given, v.Passed, v.Checks)
		}
	}
	altered := must(inspect.Recognise(must(vtpmtest.HCL(m.chip, []byte(text),
		vtpmtest.HCLOptions{Mutate: func(index []byte) { copy(index[1236:], `{"keyz"`) }}))(t)))(t)
	e, _ = altered.Evidence()
	if v := verify.OfEvidence(verify.Given{Evidence: e, GivenChain: m.chain, GivenData: data}, m.silicon, time.Now()); v.Passed {
		t.Errorf("claims that the report does not cover: %+v", v.Checks)
	}
}

// Questions about a token's vault or a statement's claims are not ignored.
func TestQuestion(t *testing.T) {
	key := must(rsakey.Generate(2048))(t)
	now := time.Now()
	token, own := signedToken(t, key, now), authority(t, "a.weu.attest.azure.net")
	trust := verify.Trust{Authority: own, Signature: keys(t, key, "1")}
	for _, c := range []struct {
		name   string
		q      verify.Question
		want   []string
		unseen string
	}{
		{"nothing", verify.Question{}, nil, "whose authority it is"},
		{"authority and keys", verify.Question{Authority: true, SigningKeys: true}, nil, "no claim was compared"},
		{"vault", verify.Question{Vault: true}, []string{"vault"}, ""},
		{"policy that could not be read", verify.Question{Policy: true}, []string{"release policy"}, ""},
		{"broken part beside the token", verify.Question{Parts: []inspect.Part{{Path: "b", Err: errors.New("broken")}}}, []string{"contents"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.At = now
			v := verify.OfToken(token, trust, c.q)
			if got := v.Failures(); !slices.Equal(got, c.want) || v.Passed != (c.want == nil) {
				t.Errorf("failed: %q, want %q", got, c.want)
			}
			if got := strings.Join(v.NotLookedAt, "; "); !strings.Contains(got, c.unseen) {
				t.Errorf("not looked at: %s", got)
			}
		})
	}
}

// A policy's requirements and a caller's own chain must be verified.
func TestBootPlan(t *testing.T) {
	m := &vm{newMachine(t), must(vtpmtest.NewAK())(t), vtpmtest.SecureBootLog(true)}
	for _, trust := range []verify.AKSource{verify.AKFromHCL, verify.AKFromCertificate} {
		for taken := range 1 << 5 {
			given, lacks := m.good(t, trust), func(bit int) bool { return taken>>bit&1 != 0 }
			if lacks(0) {
				given.Boot.HCL = nil
			}
			if lacks(1) {
				given.Boot.Certificate = nil
			}
			if lacks(2) {
				given.Boot.Quote = nil
			}
			if lacks(3) {
				given.Boot.PCRs = nil
			}
			if lacks(4) {
				given.Boot.Log = nil
			}
			key := map[verify.AKSource]int{verify.AKFromHCL: 0, verify.AKFromCertificate: 1}[trust]
			want := taken&0b11100 == 0 && !lacks(key)
			if v := verify.OfBoot(given, m.silicon, time.Now()); v.Passed != want {
				t.Errorf("%s without %05b: passed %t: %q", trust, taken, v.Passed, v.Failures())
			}
		}
	}
	given := m.good(t, verify.AKFromCertificate)
	given.Given = verify.Given{GivenChain: m.chain}
	v := verify.OfBoot(given, verify.Silicon{Roots: vcek.BuiltinRoots()}, time.Now())
	if got := v.Failures(); !slices.Equal(got, []string{"certificate chain"}) {
		t.Errorf("a chain without a use: failed %q", got)
	}
}
