package maa_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/attest/snp"
	"skr/test/azureguest"
	"skr/test/emulator/maa"
	"skr/test/samples"
	"skr/test/snptest"
	"skr/test/swtpm"
)

// TestRealGuestClaims compares the members and their types with a real token of
// 2022. The token belongs to a Windows machine, whose HCL named one key and the
// time.
func TestRealGuestClaims(t *testing.T) {
	text := samples.Read(t, "maa/azureguest-claims-2022-windows.json")
	real := object(t, text)
	g := newGuest(t, true, swtpm.Config{})
	info := g.Info(t)
	info.OSType, info.OSDistro, info.OSBuild = []byte("Windows"), []byte("Microsoft"), []byte("NotApplicable")
	info.OSVersionMajor, info.OSVersionMinor = 10, 0
	info.ClientPayload = nil
	pcrs := []int{0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13}
	g.AddQuote(t, info, pcrs...)
	g.Key = g.NewKey(t, pcrs...)
	g.AddKey(t, info, g.Key)
	hcl := oldClaims(t, g, real)
	report, err := g.chip.Report(snp.Bind(hcl), snptest.Options{Version: 2})
	if err != nil {
		t.Fatal(err)
	}
	info.SetReport(t, report, g.Chain, hcl)
	instance := g.guestInstance(t, maa.Config{Issuer: real["iss"].(string), CompliantVM: func(snp.Measurement) bool { return true }})
	answer := post(instance, azureguest.Path, info.Body(t))
	token, err := g.Open(t, answer.Body.Bytes())
	if err != nil {
		t.Fatal(err, answer.Body)
	}
	ours := splitToken(t, token)
	if diff := cmp.Diff(shape(real), shape(object(t, ours.payload))); diff != "" {
		t.Errorf("members and types (-real +ours):\n%s", diff)
	}
	if diff := cmp.Diff(members(t, text), members(t, ours.payload)); diff != "" {
		t.Errorf("members and their order (-real +ours):\n%s", diff)
	}
	for _, name := range []string{
		"secureboot", "x-ms-attestation-type", "x-ms-ver", "iss", "x-ms-azurevm-vmid", "x-ms-azurevm-attested-pcrs", "x-ms-azurevm-is-windows",
		"x-ms-azurevm-osbuild", "x-ms-azurevm-osdistro", "x-ms-azurevm-ostype", "x-ms-azurevm-osversion-major", "x-ms-azurevm-osversion-minor",
		"x-ms-azurevm-dbvalidated", "x-ms-azurevm-testsigning-enabled", "x-ms-azurevm-signingdisabled", "x-ms-azurevm-hvci-policy",
	} {
		if diff := cmp.Diff(real[name], object(t, ours.payload)[name]); diff != "" {
			t.Errorf("%s (-real +ours):\n%s", name, diff)
		}
	}
}

// oldClaims returns the real machine's claims with our AK in them.
func oldClaims(t *testing.T, g *guest, real map[string]any) []byte {
	t.Helper()
	runtime := real["x-ms-isolation-tee"].(map[string]any)["x-ms-runtime"].(map[string]any)
	var copied map[string]any
	if err := json.Unmarshal(marshal(t, runtime), &copied); err != nil {
		t.Fatal(err)
	}
	copied["keys"].([]any)[0].(map[string]any)["n"] = encode(g.vtpm.AK().N.Bytes())
	return marshal(t, copied)
}
