package keyrelease

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/strictjson"
	"skr/releasepolicy"
)

// fakeDescriber answers after wait with a key of that policy or with err.
type fakeDescriber struct {
	policy string
	err    error
	wait   time.Duration
	access []string
}

func (d *fakeDescriber) Describe(ctx context.Context, _ hsm.KeyID, access secmem.Text) (*hsm.Description, error) {
	d.access = append(d.access, access.Reveal())
	select {
	case <-time.After(d.wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if d.err != nil {
		return nil, d.err
	}
	policy, err := releasepolicy.Parse([]byte(d.policy))
	if err != nil {
		return nil, err
	}
	return &hsm.Description{Enabled: true, Exportable: true, Policy: policy}, nil
}

const (
	hostData = "3333333333333333333333333333333333333333333333333333333333333333"
	token    = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL3ZhdWx0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
)

func policyOf(conditions string) string {
	return `{"version":"1.0.0","anyOf":[{"authority":"https://a.eus.attest.azure.net","allOf":[` + conditions + `]}]}`
}

// refusedBecause returns the refusal of a release by a vault that gives no reason.
func refusedBecause(t *testing.T, d Describer) (*refusal.Error, []unmet) {
	t.Helper()
	no := refusal.Newf(refusal.ReleaseRejected, "the vault forbids it")
	e := newExplainer(d, time.Now)
	return explained(t, e, no)
}

// unmet returns a condition that is not met.
type unmet struct {
	Claim, Operator, Expected, Actual string
	Absent                            bool
}

func explained(t *testing.T, e *explainer, no error) (*refusal.Error, []unmet) {
	t.Helper()
	claims, err := strictjson.Parse([]byte(`{"x-ms-sevsnpvm-is-debuggable":false,"x-ms-sevsnpvm-vmpl":0,"x-ms-runtime":{"secret":"s3cr3t"},"nonce":"n0nce"}`))
	if err != nil {
		t.Fatal(err)
	}
	req := parseRequest(t, "a.eus.attest.azure.net")
	result := &attest.Result{Claims: claims, Omitted: []attest.Omission{{Part: attest.UVMEndorsement, Err: errors.New("it is torn")}}}
	err = e.explain(t.Context(), req, result, secmem.NewText("access"), no)
	got, ok := errors.AsType[*refusal.Error](err)
	if !ok {
		t.Fatal("no longer a refusal")
	}
	var conditions []unmet
	if refused, ok := errors.AsType[*UnmetError](err); ok {
		for _, c := range refused.Conditions {
			conditions = append(conditions, unmet{c.Claim, string(c.Operator), c.Value.Text, c.Actual, c.Absent})
		}
	}
	return got, conditions
}

func TestExplain(t *testing.T) {
	for name, tc := range map[string]struct {
		describer *fakeDescriber
		public    string
		unmet     []unmet
	}{
		"wrong value": {&fakeDescriber{policy: policyOf(`{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"true"}`)},
			`not met is: x-ms-sevsnpvm-is-debuggable equals "true", and it is "false"`,
			[]unmet{{Claim: "x-ms-sevsnpvm-is-debuggable", Operator: "equals", Expected: "true", Actual: "false"}}},
		"absent, and one more": {&fakeDescriber{policy: policyOf(`{"claim":"x-ms-sevsnpvm-hostdata","equals":"` + hostData +
			`"},{"claim":"x-ms-sevsnpvm-vmpl","greater":"0"}`)},
			`x-ms-sevsnpvm-hostdata equals "` + hostData + `", and there is no such claim; and 1 more`,
			[]unmet{
				{Claim: "x-ms-sevsnpvm-hostdata", Operator: "equals", Expected: hostData, Absent: true},
				{Claim: "x-ms-sevsnpvm-vmpl", Operator: "greater", Expected: "0", Actual: "0"},
			}},
		"guest's own claim": {&fakeDescriber{policy: policyOf(`{"claim":"x-ms-runtime.secret","equals":"t0p"},` +
			`{"claim":"nonce","equals":"t0p"},{"claim":"my-claim","equals":"t0p"}`)},
			`x-ms-runtime.secret equals "(withheld)", and it is "(withheld)"`,
			[]unmet{
				{Claim: "x-ms-runtime.secret", Operator: "equals", Expected: withheld, Actual: withheld},
				{Claim: "nonce", Operator: "equals", Expected: withheld, Actual: withheld},
				{Claim: "my-claim", Operator: "equals", Expected: withheld, Absent: true},
			}},
		"policy that repeats a token": {&fakeDescriber{policy: policyOf(`{"claim":"x-ms-sevsnpvm-hostdata","equals":"` + token + `"},{"claim":"` +
			strings.ReplaceAll(token, ".", "-") + `","equals":"x"}`)},
			"not met is", nil},
		"explained by an omission": {&fakeDescriber{policy: policyOf(`{"claim":"x-ms-compliance-status","equals":"azure-compliant-uvm"}`)},
			"and there is no such claim; the evidence goes without the UVM endorsement, which cannot be used: it is torn",
			[]unmet{{Claim: "x-ms-compliance-status", Operator: "equals", Expected: "azure-compliant-uvm", Absent: true}}},
		"another authority": {&fakeDescriber{policy: strings.Replace(policyOf(`{"claim":"x-ms-sevsnpvm-vmpl","equals":"0"}`), "//a.", "//b.", 1)},
			`iss equals "https://b.eus.attest.azure.net", and it is "https://a.eus.attest.azure.net"`,
			[]unmet{{Claim: "iss", Operator: "equals", Expected: "https://b.eus.attest.azure.net", Actual: "https://a.eus.attest.azure.net"}}},
		"met": {&fakeDescriber{policy: policyOf(`{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"false"}`)},
			"as far as skr can tell, the key's release policy is met", nil},
		"may not read": {&fakeDescriber{err: refusal.Newf(refusal.ReleaseRejected, "this identity may not read the key")},
			"skr cannot tell more, because this identity may not read the key; the evidence goes without the UVM endorsement", nil},
		"silent vault": {&fakeDescriber{wait: time.Hour}, "could not be asked", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, conditions := refusedBecause(t, tc.describer)
				if !strings.Contains(got.Public(), "the vault forbids it; ") || !strings.Contains(got.Public(), tc.public) {
					t.Errorf("got %s, want %q in it", got.Public(), tc.public)
				}
				if tc.unmet != nil && !slices.Equal(conditions, tc.unmet) {
					t.Errorf("unmet are %+v, want %+v", conditions, tc.unmet)
				}
				for _, secret := range []string{"s3cr3t", "n0nce", "t0p", token[:40], strings.ReplaceAll(token, ".", "-")[:40]} {
					for _, u := range append(conditions, unmet{Claim: got.Error()}) {
						if strings.Contains(u.Claim+u.Expected+u.Actual, secret) {
							t.Errorf("%q is repeated in %+v", secret, u)
						}
					}
				}
			})
		})
	}
}

// Errors that are not the vault's refusal and refusals without an explanation stay unchanged.
func TestExplainLeavesOthersAlone(t *testing.T) {
	d := &fakeDescriber{policy: policyOf(`{"claim":"x","equals":"1"}`)}
	e := newExplainer(d, time.Now)
	for _, err := range []error{
		errNoVault, refusal.Newf(refusal.Untrusted, "x"), refusal.Newf(refusal.Throttled, "x"), refusal.Newf(refusal.KeyNotFound, "x"),
	} {
		if got := e.explain(t.Context(), Request{}, nil, secmem.Text{}, err); got != err || len(d.access) != 0 { //nolint:errorlint // compares the value itself
			t.Errorf("%v became %v", err, got)
		}
	}
	none := newExplainer(nil, time.Now)
	err := refusal.Newf(refusal.ReleaseRejected, "x")
	if got := none.explain(t.Context(), Request{}, nil, secmem.Text{}, err); got != err { //nolint:errorlint // compares the value itself
		t.Errorf("without a describer: %v", got)
	}
}

// A vault is asked once a minute for each key and token, whatever it answers. A request
// that a caller's deadline cut short does not count as an answer.
func TestDescriptionsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDescriber{err: refusal.Newf(refusal.ReleaseRejected, "no")}
		e := newExplainer(d, time.Now)
		no := refusal.Newf(refusal.ReleaseRejected, "the vault forbids it")
		_, _ = explained(t, e, no)
		_, _ = explained(t, e, no)
		if len(d.access) != 1 {
			t.Errorf("%d requests within a minute", len(d.access))
		}
		time.Sleep(describedAge)
		_, _ = explained(t, e, no)
		if len(d.access) != 2 {
			t.Errorf("%d requests after a minute", len(d.access))
		}
		key := parseRequest(t, "a.eus.attest.azure.net").Key
		if _, err := e.describe(t.Context(), Request{Key: key}, secmem.NewText("another")); err == nil || d.access[len(d.access)-1] != "another" {
			t.Error("another token was not tried")
		}
		e = newExplainer(&fakeDescriber{wait: time.Hour}, time.Now)
		if _, _ = explained(t, e, no); e.kept.Len() != 0 {
			t.Error("a missing answer is cached")
		}
	})
}

func TestDescriptionsAreBounded(t *testing.T) {
	e := newExplainer(nil, time.Now)
	for i := range 3 * maxDescribed {
		e.keep("", question{access: [32]byte{byte(i), byte(i >> 8)}}, described{})
		if e.kept.Len() > maxDescribed {
			t.Fatalf("%d are cached", e.kept.Len())
		}
	}
}
