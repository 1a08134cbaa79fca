package server

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/api"
	"skr/internal/refusal"
	"skr/keyrelease"
	"skr/releasepolicy"
)

// The caller gets the conditions that an attestation does not meet, member by member.
func TestReasons(t *testing.T) {
	policy, err := releasepolicy.Parse([]byte(`{"version":"1.0.0","anyOf":[{"authority":"https://a","allOf":[
		{"claim":"x-ms-sevsnpvm-vmpl","less":1},{"claim":"x-ms-sevsnpvm-hostdata","equals":"33"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := releasepolicy.ParseClaims([]byte(`{"x-ms-sevsnpvm-vmpl":2}`))
	if err != nil {
		t.Fatal(err)
	}
	unmet := policy.Evaluate("https://a", claims).Unmet()
	p := newPipeline(t)
	p.fail = func(context.Context) error {
		refused := &keyrelease.UnmetError{Err: refusal.Newf(refusal.ReleaseRejected, "no"), Conditions: unmet}
		return fmt.Errorf("releasing: %w", refused)
	}
	s := newServer(t, p, nil)
	got := readError(t, ask(t, s, newRequest("POST", api.RouteRelease, good[api.RouteRelease])), 403, api.ReleaseRejected)
	want := []api.Reason{
		{Claim: "x-ms-sevsnpvm-vmpl", Operator: "less", Expected: "1", Actual: "2"},
		{Claim: "x-ms-sevsnpvm-hostdata", Operator: "equals", Expected: "33", Absent: true},
	}
	if diff := cmp.Diff(want, got.Reason); diff != "" {
		t.Error(diff)
	}
}
