package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"skr/api"
	"skr/attest/snp"
	"skr/internal/config"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/snptest"
)

// certificatePlaces are all that the emulator has, each with what leads there and the
// service that is asked.
var certificatePlaces = []struct {
	certificates emulator.Certificates
	from, asked  string
}{
	{emulator.AtHost, "", ""},
	{emulator.AtFabric, config.FabricNode, emulator.ServiceProxyTHIM},
	{emulator.AtVirtualNode, config.VirtualNodeTHIM, emulator.ServiceProxyTHIM},
	{emulator.AtIMDS, "imds_url", emulator.ServiceTHIM},
}

// A sidecar without thim_url releases a key wherever the certificates are, by the first
// place that the environment names, and with a signing key of either kind.
func TestDetectsCertificates(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	request := api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: cloud.Host("demo", "vault"), KID: "k"}
	createKey(t, cloud, request.AKVEndpoint, emulator.KeySpec{Name: "k", Kty: "EC-HSM", Curve: "P-256"})
	for _, place := range certificatePlaces {
		for _, signer := range []snp.SigningKey{snp.VCEK, snp.VLEK} {
			name := string(place.certificates) + "-" + strings.ToLower(signer.String())
			t.Run(name, func(t *testing.T) {
				machine, err := cloud.AddMachine(name, emulator.MachineConfig{
					Certificates: place.certificates, Report: snptest.Options{SigningKey: signer},
				})
				if err != nil {
					t.Fatal(err)
				}
				env, before := cloud.Environment(machine), cloud.Faults().Requests(place.asked)
				s := start(t, env).ready(t)
				if _, err := s.client.ReleaseKey(t.Context(), request); err != nil {
					t.Fatal(err)
				}
				if place.asked != "" && cloud.Faults().Requests(place.asked) == before {
					t.Errorf("%s was not asked", place.asked)
				}
				told, stderr, code := once(t, env, "", "config")
				if code != 0 || place.from != "" && !strings.Contains(told, ", because of "+place.from+"\n") {
					t.Errorf("skr config does not name %s: exit %d\n%s%s", place.from, code, told, stderr)
				}
				if check := checkOf(t, env, "certificate-cache"); check.Status != "ok" || !strings.Contains(check.Evidence, "("+place.from) {
					t.Errorf("the doctor says %+v", check)
				}
			})
		}
	}
}

// A place that has no certificate is followed by the next, and the doctor names both.
func TestAsksNextPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ env, found string }{
		"nothing listens at the node": {config.FabricNode + "=127.0.0.1", "http://127.0.0.1:2377/metadata/THIM/amd/certification (Fabric_NodeIPOrFQDN): "},
		"a placeholder remains": {
			config.VirtualNodeTHIM + "=" + config.VirtualNodePlaceholder, "VN2_THIM_ENDPOINT: no address: the placeholder was not replaced",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := program.Cloud(t, emulator.Config{Machine: emulator.MachineConfig{Certificates: emulator.AtIMDS}})
			env := append(cloud.Environment(cloud.Machine()), test.env)
			if _, stderr, code := once(t, env, "{}", "attest", "combined"); code != 0 {
				t.Errorf("attest combined: exit %d\n%s", code, stderr)
			}
			check := checkOf(t, env, "certificate-cache")
			place := cloud.IMDSURL() + "/metadata/THIM/amd/certification (imds_url, set by SKR_IMDS_URL) has this machine's certificate; asked before: "
			if check.Status != "warning" || !strings.HasPrefix(check.Evidence, place) || !strings.Contains(check.Evidence, test.found) {
				t.Errorf("the doctor says %+v", check)
			}
		})
	}
}

// Requests for certificates at detected places never use a proxy. Those to AMD do, so that
// the proxy of this test is in force.
func TestCertificateCacheUsesNoProxy(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{Machine: emulator.MachineConfig{Certificates: emulator.AtIMDS}})
	var mu sync.Mutex
	hosts := map[string]bool{}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		hosts[r.Host] = true
		http.NotFound(w, r)
	}))
	t.Cleanup(proxy.Close)
	_, _, code := once(t, append(cloud.Environment(cloud.Machine()), "HTTP_PROXY="+proxy.URL, "SKR_CERTIFICATE_SOURCES=thim,kds",
		config.FabricNode+"=node.invalid", config.VirtualNodeTHIM+"=http://cache.invalid:2377/metadata/THIM/amd/certification",
		"SKR_IMDS_URL=http://imds.invalid", "SKR_KDS_URL=http://kds.invalid"), "{}", "attest", "combined")
	mu.Lock()
	defer mu.Unlock()
	if code == 0 || !maps.Equal(hosts, map[string]bool{"kds.invalid": true}) {
		t.Errorf("exit %d, and the proxy was asked for %v", code, hosts)
	}
}

type doctorCheck struct{ Check, Status, Evidence, Fix string }

func checkOf(t *testing.T, env []string, name string) doctorCheck {
	t.Helper()
	var diagnosis struct{ Checks []doctorCheck }
	told, stderr, _ := once(t, env, "", "doctor", "--output", "json")
	if err := json.Unmarshal([]byte(told), &diagnosis); err != nil {
		t.Fatalf("%v\n%s%s", err, told, stderr)
	}
	i := slices.IndexFunc(diagnosis.Checks, func(c doctorCheck) bool { return c.Check == name })
	if i < 0 {
		t.Fatalf("no check %s: %+v", name, diagnosis)
	}
	return diagnosis.Checks[i]
}
