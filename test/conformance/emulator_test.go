package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/hsm"
	"skr/internal/operator/inspect"
	"skr/internal/secmem"
	"skr/test/emulator"
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
	return cloud, Config{
		Authority: authority, Vaults: vaults, Transport: cloud.HTTPClient().Transport, Write: true, Evidence: evidence(t, cloud), Program: "test",
		Token:   func(_ context.Context, audience string) (secmem.Text, error) { return issue(audience, 0) },
		Foreign: func(context.Context) (secmem.Text, error) { return issue("https://attest.azure.net", 0) },
		Expired: expired,
	}
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

// TestEmulator makes every check against the emulator. None is skipped but those of the other service.
func TestEmulator(t *testing.T) {
	_, c := azure(t, emulator.Config{})
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
	t.Logf("%v", report.Summary)
}
