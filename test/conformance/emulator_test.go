package conformance

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/tpm"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/hsm"
	"skr/internal/operator/inspect"
	"skr/internal/secmem"
	"skr/test/azureguest"
	"skr/test/emulator"
	"skr/test/swtpm"
)

// azure starts an emulated cloud and returns it with the configuration of a run that makes every check.
func azure(t *testing.T, c emulator.Config) (*emulator.Cloud, Config) {
	t.Helper()
	c.Dir = t.TempDir()
	cloud, err := emulator.Start(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { must(t, cloud.Close()) })
	authorities, err := attest.ParseAuthorities([]string{cloud.AttestationHost()})
	must(t, err)
	authority, err := authorities.Parse(cloud.AttestationHost())
	must(t, err)
	_, port, _ := strings.Cut(cloud.AttestationHost(), ":")
	allowed, err := hsm.ParseVaults([]string{"*.vault.localhost:" + port, "*.managedhsm.localhost:" + port})
	must(t, err)
	var vaults []hsm.Vault
	for _, service := range []string{"vault", "managedhsm"} {
		v, err := allowed.ParseVault(cloud.Host("contoso", service))
		must(t, err)
		vaults = append(vaults, v)
	}
	issue := func(audience string, ago time.Duration) (secmem.Text, error) {
		directory := cloud.Directory().SeenBy(func() time.Time { return time.Now().Add(-ago) })
		token, err := directory.Issue(audience, cloud.Directory().Workload())
		return secmem.NewText(token.Value), err
	}
	expired := make(map[string]secmem.Text)
	for _, v := range vaults {
		expired[v.Audience()], err = issue(v.Audience(), 2*time.Hour)
		must(t, err)
	}
	config := Config{
		Authority: authority, Vaults: vaults, Transport: cloud.HTTPClient().Transport, Write: true, Program: "test",
		Token:   func(_ context.Context, audience string) (secmem.Text, error) { return issue(audience, 0) },
		Foreign: func(context.Context) (secmem.Text, error) { return issue("https://attest.azure.net", 0) },
		Expired: expired,
	}
	if c.Machine.Platform == "" {
		config.Evidence = evidence(t, cloud)
	}
	return cloud, config
}

// evidence returns evidence of the cloud's first machine, which binds a key to wrap to.
func evidence(t *testing.T, cloud *emulator.Cloud) *inspect.Evidence {
	t.Helper()
	kek, err := hsm.NewKEK(2048)
	must(t, err)
	source, err := snp.NewSource("unix:" + cloud.Machine().Socket())
	must(t, err)
	report, err := source.Report(t.Context(), snp.Bind(kek.RuntimeData()))
	must(t, err)
	platform, err := uvm.Load(uvm.Config{Directory: cloud.Machine().SecurityContext()})
	must(t, err)
	chain, err := vcek.ParseTHIM(platform.HostCertificate)
	must(t, err)
	return &inspect.Evidence{Report: report, Chain: chain, Endorsement: platform.Endorsement, RuntimeData: kek.RuntimeData()}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tdxEvidence returns evidence of a machine with TDX: the quote of its TD report, and the claims of its
// paravisor, which the quote binds.
func tdxEvidence(t *testing.T, cloud *emulator.Cloud) *inspect.Evidence {
	t.Helper()
	var device string
	for _, line := range cloud.Environment(cloud.Machine()) {
		if address, found := strings.CutPrefix(line, "SKR_TPM="); found {
			device = address
		}
	}
	index, err := azureguest.New(t, device).TPM.ReadIndex(t.Context(), tpm.HCLReport)
	must(t, err)
	hcl, err := vtpm.ParseHCL(index)
	must(t, err)
	body, err := json.Marshal(map[string][]byte{"report": hcl.TDReport().Raw()})
	must(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, cloud.IMDSURL()+"/acc/tdquote", bytes.NewReader(body))
	must(t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := cloud.HTTPClient().Do(request)
	must(t, err)
	defer response.Body.Close() //nolint:errcheck // read only
	var answer struct{ Quote string }
	must(t, json.NewDecoder(response.Body).Decode(&answer))
	raw, err := base64.RawURLEncoding.DecodeString(answer.Quote)
	must(t, err)
	quote, err := tdx.ParseQuote(raw)
	must(t, err)
	return &inspect.Evidence{TDQuote: quote, RuntimeData: hcl.Claims().Raw()}
}

// TestTDX makes the checks that need evidence with evidence of TDX, in both layouts of quotes.
func TestTDX(t *testing.T) {
	swtpm.Need(t)
	cloud, c := azure(t, emulator.Config{Machine: emulator.MachineConfig{Platform: emulator.TDX}})
	c.Vaults = c.Vaults[:1]
	for _, version := range []uint16{4, 5} {
		cloud.UpdateIntel(func(c *emulator.IntelConfig) { c.Quote.Version = version })
		c.Evidence = tdxEvidence(t, cloud)
		must(t, CheckEvidence(c.Evidence, nil))
		if CheckEvidence(c.Evidence, []byte("other data")) == nil {
			t.Error("runtime data that the quote does not bind is accepted")
		}
		allSame(t, c)
		c.Vaults = nil // one release is enough
	}
}

// allSame makes every check, which must find no difference.
func allSame(t *testing.T, c Config) {
	t.Helper()
	report, err := Run(t.Context(), c)
	must(t, err)
	for _, o := range report.Checks {
		if o.Result != Same {
			t.Errorf("%s: %s: %s: %s %q\n%+v", o.Service, o.Name, o.Result, o.Reason, o.Differences, o.Exchanges)
		}
	}
	if len(report.Left) > 0 {
		t.Errorf("left: %v", report.Left)
	}
}

// TestEmulator makes every check against the emulator, and skips none.
func TestEmulator(t *testing.T) {
	_, c := azure(t, emulator.Config{})
	allSame(t, c)
}
