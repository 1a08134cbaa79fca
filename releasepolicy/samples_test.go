package releasepolicy

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"skr/test/samples"
)

func genoaClaims(t testing.TB) json.RawMessage {
	t.Helper()
	parts := strings.Split(string(samples.Read(t, "maa/cvm-genoa-token.jwt")), ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// The policy requires claims below x-ms-isolation-tee. Only tokens of the AzureGuest
// protocol have them, so the direct token does not meet it.
func TestPolicyOfThirtyAuthorities(t *testing.T) {
	p, err := Parse(samples.Read(t, "cvm/release-policy-30-authorities.json"))
	if err != nil {
		t.Fatal(err)
	}
	claims := genoaClaims(t)
	direct, err := evaluate(p, aciIssuer, claims)
	if err != nil {
		t.Fatal(err)
	}
	if direct.Met || !direct.Authorities[0].Issued || !direct.Authorities[0].Members[1].Absent {
		t.Errorf("direct token: %+v", direct.Authorities[0])
	}
	guest := json.RawMessage(`{"x-ms-isolation-tee":` + string(claims) + `}`)
	for issuer, want := range map[string]bool{aciIssuer: true, "https://evil.example": false} {
		e, err := evaluate(p, issuer, guest)
		if err != nil || e.Met != want || len(e.Authorities) != len(p.Authorities()) {
			t.Errorf("issuer %s: met %v with %d authorities, %v", issuer, e.Met, len(e.Authorities), err)
		}
	}
	t.Logf("%d authorities", len(p.Authorities()))
}

// Normalised turns the policy that the SDK's test sent into the form in the recorded
// release statement.
func TestNormalisedAsRecorded(t *testing.T) {
	for file, flavour := range map[string]Flavour{
		"keyvault/releasekey-kv.json": KeyVault, "keyvault/releasekey-mhsm.json": ManagedHSM,
	} {
		stored := recordedPolicy(t, file)
		p, err := Parse(stored)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Normalised(flavour); string(got) != string(stored) {
			t.Errorf("%s: %s normalises to %s", file, stored, got)
		}
	}
}

// recordedPolicy returns the policy inside the release statement of a recording.
func recordedPolicy(t *testing.T, file string) []byte {
	t.Helper()
	var recording struct {
		Entries []struct{ ResponseBody json.RawMessage }
	}
	if err := json.Unmarshal(samples.Read(t, file), &recording); err != nil {
		t.Fatal(err)
	}
	for _, entry := range recording.Entries {
		var body struct{ Value string }
		if json.Unmarshal(entry.ResponseBody, &body) != nil || body.Value == "" {
			continue
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(body.Value, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var statement struct {
			Response struct {
				Key struct {
					Policy struct{ Data string } `json:"release_policy"`
				}
			}
		}
		if err := json.Unmarshal(payload, &statement); err != nil {
			t.Fatal(err)
		}
		policy, err := base64.RawURLEncoding.DecodeString(statement.Response.Key.Policy.Data)
		if err != nil {
			t.Fatal(err)
		}
		return policy
	}
	t.Fatalf("%s holds no release statement", file)
	return nil
}

func BenchmarkEvaluateGenoaToken(b *testing.B) {
	p := mustPolicy(b, aciPolicy)
	parsed, err := ParseClaims(genoaClaims(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = p.Evaluate(aciIssuer, parsed)
	}
}

func BenchmarkEvaluateThirtyAuthorities(b *testing.B) {
	p := mustPolicy(b, string(samples.Read(b, "cvm/release-policy-30-authorities.json")))
	parsed, err := ParseClaims([]byte(`{"x-ms-isolation-tee":` + string(genoaClaims(b)) + `}`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if e := p.Evaluate(aciIssuer, parsed); !e.Met {
			b.Fatal(e.Met)
		}
	}
}
