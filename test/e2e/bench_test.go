package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/program"
)

// Latencies of the emulated services, near those of Azure within a region.
const (
	latencyMAA   = 40 * time.Millisecond
	latencyVault = 20 * time.Millisecond
)

// A release with every verification on, through the HTTP API of the real
// binary. The ratio is the time that it took to the time that its services
// took: 1 would be a program that costs nothing.
func BenchmarkRelease(b *testing.B) {
	for _, c := range []struct {
		name, maxAge string
		services     time.Duration
	}{
		{"attested", "1h", latencyVault},
		{"attesting", "0", latencyMAA + latencyVault},
	} {
		b.Run(c.name, func(b *testing.B) {
			cloud := program.Cloud(b, emulator.Config{})
			vault := cloud.Host("demo", "vault")
			createKey(b, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
			cloud.Faults().SetLatency(emulator.ServiceAttest, latencyMAA)
			cloud.Faults().SetLatency(emulator.ServiceRelease, latencyVault)
			s := start(b, append(cloud.Environment(cloud.Machine()), "SKR_ATTESTATION_MAX_AGE="+c.maxAge)).ready(b)
			request := api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: "k"}
			release := func() {
				if _, err := s.client.Release(b.Context(), request); err != nil {
					b.Fatal(err)
				}
			}
			release() // the first also connects and gets the access token
			for b.Loop() {
				release()
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(c.services), "ratio")
		})
	}
}

// From the start of the process until /status says that it is ready: evidence
// has been collected, certificates fetched from THIM, both verified.
func BenchmarkReady(b *testing.B) {
	cloud := program.Cloud(b, emulator.Config{})
	env := append(cloud.Environment(cloud.Machine()), "UVM_SECURITY_CONTEXT_DIR=/nonexistent", "SKR_CERTIFICATE_SOURCES=thim")
	for b.Loop() {
		s := start(b, env)
		for !statusOK(s) {
			time.Sleep(time.Millisecond) // another process: there is no clock to inject
		}
		if err := s.stop(); err != nil {
			b.Fatal(err)
		}
	}
}

func statusOK(s *sidecar) bool {
	response, err := http.Get("http://" + s.address + api.RouteStatus)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	var status api.StatusResponse
	return json.NewDecoder(response.Body).Decode(&status) == nil && status.Message == api.StatusOK
}

// What knowing the caller, limits, audit records, metrics and traces cost: warm
// releases with all of it, and without, in turns. The services have the
// latencies that they have in a region; every verification is on in both.
func BenchmarkHardening(b *testing.B) {
	cloud := program.Cloud(b, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(b, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	cloud.Faults().SetLatency(emulator.ServiceRelease, latencyVault)
	env := append(cloud.Environment(cloud.Machine()),
		`SKR_KEYS={"demo":{"vault":"`+vault+`","key":"k","authority":"`+cloud.AttestationHost()+`"}}`)
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer collector.Close()
	dir := b.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("token-of-the-benchmark"), 0o600); err != nil {
		b.Fatal(err)
	}
	plain := start(b, env).ready(b)
	hard := start(b, append(env, "SKR_OPS_LISTEN="+program.FreeAddress(b), "SKR_AUDIT_FILE="+filepath.Join(dir, "audit.log"),
		`SKR_ACCESS=[{"name":"app","token_file":"`+token+`","routes":["*"],"keys":["demo"]}]`,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)).ready(b)
	client, err := api.NewClient(api.Config{BaseURL: "http://" + hard.address, TokenFile: token})
	if err != nil {
		b.Fatal(err)
	}
	release := func(client *api.Client) time.Duration {
		begin := time.Now()
		if _, err := client.Release(b.Context(), api.ReleaseRequest{Alias: "demo"}); err != nil {
			b.Fatal(err)
		}
		return time.Since(begin)
	}
	release(plain.client)
	release(client)
	var without, with time.Duration
	for b.Loop() {
		without += release(plain.client)
		with += release(client)
	}
	b.ReportMetric(float64(with)/float64(without), "ratio")
}
