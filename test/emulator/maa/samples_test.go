package maa_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/test/emulator/maa"
	"skr/test/samples"
	"skr/test/snptest"
)

// TestRealRequestGivesRealToken compares with the token that Azure issued for
// exactly this request.
func TestRealRequestGivesRealToken(t *testing.T) {
	real := splitToken(t, string(samples.Read(t, "maa/aci-token.jwt")))
	const issued = 1744085700
	instance := newInstance(t, maa.Config{
		Issuer: "https://sharedweu.weu.test.attest.azure.net",
		Now:    func() time.Time { return time.Unix(issued, 0) },
	})
	ours := splitToken(t, attest(t, instance, samples.Read(t, "maa/aci-request.json")))

	if diff := cmp.Diff(members(t, real.payload), members(t, ours.payload)); diff != "" {
		t.Errorf("payload members and their order (-real +ours):\n%s", diff)
	}
	if diff := cmp.Diff(members(t, real.header), members(t, ours.header)); diff != "" {
		t.Errorf("header members and their order (-real +ours):\n%s", diff)
	}
	if diff := cmp.Diff(object(t, real.payload), object(t, ours.payload), ignoring("jti")); diff != "" {
		t.Errorf("payload (-real +ours):\n%s", diff)
	}
	if diff := cmp.Diff(object(t, real.header), object(t, ours.header), ignoring("kid")); diff != "" {
		t.Errorf("header (-real +ours):\n%s", diff)
	}
	for _, name := range []string{"jti"} {
		if got, want := object(t, ours.payload)[name].(string), object(t, real.payload)[name].(string); len(got) != len(want) {
			t.Errorf("%s has %d characters, the real one %d", name, len(got), len(want))
		}
	}
	if got, want := object(t, ours.header)["kid"].(string), object(t, real.header)["kid"].(string); len(got) != len(want) {
		t.Errorf("kid has %d characters, the real one %d", len(got), len(want))
	}
}

// TestEndorsedClaims compares the members with a real token of a container
// group. Its nonce was sent as a number, and its runtime data are not keys.
func TestEndorsedClaims(t *testing.T) {
	real := object(t, samples.Read(t, "maa/aci-claims-with-uvm-endorsement.json"))
	machine := newMachine(t, snp.Milan)
	request := machine.request(t, snptest.Options{Version: 2}, requestParts{
		runtime: []byte(`{"publicKey":"abc","location":"East US"}`),
		nonce:   "7394904505194784658",
		feed:    "ContainerPlat-AMD-UVM",
	})
	ours := splitToken(t, attest(t, machine.instance(t, maa.Config{Issuer: real["iss"].(string)}), request))
	if diff := cmp.Diff(shape(real), shape(object(t, ours.payload))); diff != "" {
		t.Errorf("members and types (-real +ours):\n%s", diff)
	}
	for _, name := range []string{"nonce", "x-ms-runtime", "x-ms-compliance-status", "x-ms-policy-hash", "x-ms-attestation-type", "x-ms-ver", "iss"} {
		if diff := cmp.Diff(real[name], object(t, ours.payload)[name]); diff != "" {
			t.Errorf("%s (-real +ours):\n%s", name, diff)
		}
	}
}

// TestRealVersion3Request checks that the request and Microsoft's endorsement
// are accepted.
func TestRealVersion3Request(t *testing.T) {
	request := samples.Read(t, "aci-milan-v3/maa-request.json")
	instance := newInstance(t, maa.Config{Issuer: "https://sharedneu.neu.attest.azure.net"})
	claims := object(t, splitToken(t, attest(t, instance, request)).payload)
	if got := claims["x-ms-compliance-status"]; got != nil && got != "azure-compliant-uvm" {
		t.Errorf("x-ms-compliance-status is %v", got)
	}
	wanted := object(t, samples.Read(t, "aci-milan-v3/runtime-data.jwks.json"))
	if diff := cmp.Diff(wanted, claims["x-ms-runtime"]); diff != "" {
		t.Errorf("x-ms-runtime (-sent +claimed):\n%s", diff)
	}
}

// TestGenoaMembers2025 compares with a token of 2026 of a confidential VM.
func TestGenoaMembers2025(t *testing.T) {
	real := splitToken(t, string(samples.Read(t, "maa/cvm-genoa-token.jwt")))
	machine := newMachine(t, snp.Genoa)
	measurement := snp.Measurement{1}
	request := machine.request(t, snptest.Options{Measurement: measurement}, requestParts{
		runtime: samples.Read(t, "maa/cvm-genoa-runtime-data.json"),
	})
	ours := splitToken(t, attest(t, machine.instance(t, maa.Config{
		Issuer:      "https://sharedeus.eus.attest.azure.net",
		Claims2025:  true,
		CompliantVM: func(m snp.Measurement) bool { return m == measurement },
	}), request))
	if diff := cmp.Diff(members(t, real.payload), members(t, ours.payload)); diff != "" {
		t.Errorf("members and their order (-real +ours):\n%s", diff)
	}
	if diff := cmp.Diff(shape(object(t, real.payload)), shape(object(t, ours.payload))); diff != "" {
		t.Errorf("members and types (-real +ours):\n%s", diff)
	}
	realRuntime, ourRuntime := raw(t, real.payload, "x-ms-runtime"), raw(t, ours.payload, "x-ms-runtime")
	if !bytes.Equal(realRuntime, ourRuntime) {
		t.Errorf("x-ms-runtime is not byte for byte the real one:\n%s\n%s", realRuntime, ourRuntime)
	}
	for _, name := range []string{"x-ms-policy-hash", "x-ms-compliance-status", "x-ms-sevsnpvm-chip-family"} {
		if got, want := object(t, ours.payload)[name], object(t, real.payload)[name]; got != want {
			t.Errorf("%s is %v, the real one %v", name, got, want)
		}
	}
}

func newInstance(t *testing.T, c maa.Config) *maa.Instance {
	t.Helper()
	c.Roots = append(c.Roots, vcek.BuiltinRoots())
	instance, err := maa.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

// token is a compact JWS with its parts decoded.
type token struct{ header, payload, signature []byte }

func splitToken(t *testing.T, compact string) token {
	t.Helper()
	parts := strings.Split(strings.TrimSpace(compact), ".")
	if len(parts) != 3 {
		t.Fatalf("the token has %d parts", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			t.Fatal(err)
		}
	}
	return token{decoded[0], decoded[1], decoded[2]}
}

func object(t *testing.T, document []byte) map[string]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var o map[string]any
	if err := dec.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

func raw(t *testing.T, document []byte, member string) json.RawMessage {
	t.Helper()
	var o map[string]json.RawMessage
	if err := json.Unmarshal(document, &o); err != nil {
		t.Fatal(err)
	}
	return o[member]
}

// members returns the names of a JSON object's members in the order of the
// text.
func members(t *testing.T, document []byte) (names []string) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(document))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name.(string))
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	return names
}

// shape replaces each value by its type.
func shape(value any) any {
	switch v := value.(type) {
	case map[string]any:
		shapes := make(map[string]any, len(v))
		for name, member := range v {
			shapes[name] = shape(member)
		}
		return shapes
	case []any:
		shapes := make([]any, len(v))
		for i, element := range v {
			shapes[i] = shape(element)
		}
		return shapes
	case string:
		return "string"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "fraction"
		}
		return "integer"
	case bool:
		return "boolean"
	}
	return "null"
}

func ignoring(names ...string) cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool {
		index, ok := p.Last().(cmp.MapIndex)
		return ok && len(p) == 2 && slices.Contains(names, index.Key().String())
	}, cmp.Ignore())
}
