package emulator_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"syscall"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/snptest"
)

func addFault(t *testing.T, cloud *emulator.Cloud, text string) {
	t.Helper()
	rule, err := fault.ParseRule(text)
	must(t, err)
	must(t, cloud.Faults().Add(rule))
}

// TestConnectionFaults checks that a rule fails its own host and no other,
// although both have open connections to the same listener.
func TestConnectionFaults(t *testing.T) {
	cloud := start(t, emulator.Config{})
	failing, other := "https://"+cloud.Host("demo", "vault")+"/keys", "https://"+cloud.AttestationHost()+"/certs"
	for rule, as := range map[string]func(error) bool{
		"vault:tls=expired": func(err error) bool {
			invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
			return ok && invalid.Reason == x509.Expired
		},
		"vault:tls=wrong-name": func(err error) bool { _, ok := errors.AsType[x509.HostnameError](err); return ok },
		"vault:tls=foreign-ca": func(err error) bool { _, ok := errors.AsType[*tls.CertificateVerificationError](err); return ok },
		"vault:refuse":         func(err error) bool { return errors.Is(err, syscall.ECONNRESET) },
	} {
		addFault(t, cloud, rule)
		for range 2 { // the first may use an open connection, which the rule closes
			_, err := get(t, cloud, failing)
			if err == nil {
				t.Errorf("%s: the host answers", rule)
			} else if _, err = get(t, cloud, failing); !as(err) {
				t.Errorf("%s: got %v", rule, err)
			}
		}
		if _, err := get(t, cloud, other); err != nil {
			t.Errorf("%s: another host fails: %v", rule, err)
		}
		cloud.Faults().Clear()
		if _, err := get(t, cloud, "https://"+cloud.LoginHost()+"/"); errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s still applies after its last use: %v", rule, err)
		}
	}
	addFault(t, cloud, "imds:refuse")
	if _, err := get(t, cloud, cloud.IMDSURL()); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("IMDS: got %v, want a reset", err)
	}
}

// TestClocks checks that each verifier of a token from the future rejects it by
// its own clock.
func TestClocks(t *testing.T) {
	cloud := start(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	_, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "k"}, policyFor(cloud, cloud.Machine().HostData()))
	must(t, err)
	for rule, want := range map[string]*refusal.Kind{
		"maa:clock=+10m": refusal.Untrusted, "maa:clock=-10m": nil,
		"vault:clock=-10m": refusal.ReleaseRejected, "vault:clock=+10m": nil,
	} {
		addFault(t, cloud, rule)
		_, err := newSidecar(t, cloud.Environment(cloud.Machine())).release(t, cloud.AttestationHost(), vault, "k")
		if want == nil && err != nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", rule, err, want)
		}
		cloud.Faults().Clear()
	}
	addFault(t, cloud, "entra:clock=+10m")
	token, err := cloud.AccessToken(vault)
	must(t, err)
	if _, err := cloud.Directory().SeenBy(time.Now).VerifyAccessToken(token, "https://vault.localhost"); err == nil {
		t.Error("a resource with a correct clock accepts a token from the future")
	}
}

// TestCertificateServices checks that the product's own clients can verify the
// certificates.
func TestCertificateServices(t *testing.T) {
	for _, product := range []snp.Product{snp.Milan, snp.Turin} {
		cloud := start(t, emulator.Config{Product: product})
		client := httpclient.New(httpclient.Config{Transport: cloud.HTTPClient().Transport}).Transporter()
		raw, err := cloud.Chip().Report(snp.ReportData{}, snptest.Options{})
		must(t, err)
		report, err := snp.Parse(raw)
		must(t, err)
		roots, err := vcek.ParseRoots(cloud.Vendor().RootsPEM())
		must(t, err)
		for _, source := range []vcek.Source{
			vcek.NewKDSSource(client, cloud.KDSURL()), vcek.NewAzureCacheSource(client, cloud.AzureCacheURL(), "", ""),
		} {
			chain, err := source.Chain(t.Context(), vcek.WantedBy(report))
			if err != nil {
				t.Fatalf("%s, %s: %v", product, source, err)
			}
			if err := chain.Verify(report, roots, time.Now()); err != nil {
				t.Errorf("%s, %s: %v", product, source, err)
			}
			if _, err := source.Chain(t.Context(), vcek.Wanted{Chip: snp.ChipID{1}, TCB: report.ReportedTCB()}); err == nil {
				t.Errorf("%s, %s: returns a certificate for another chip", product, source)
			}
		}
	}
}
