package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/program"
)

const together = 64 // clients at once

// askTogether requests the keys at once and returns the first error.
func askTogether(t *testing.T, s *sidecar, requests []api.ReleaseRequest) error {
	t.Helper()
	var all sync.WaitGroup
	failed := make([]error, len(requests))
	for i, request := range requests {
		all.Go(func() { _, failed[i] = s.client.Release(t.Context(), request) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// Concurrent requests for one key cost one request to the vault. Concurrent requests for
// different keys cost one attestation.
func TestTogether(t *testing.T) {
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	cloud.Faults().SetLatency(emulator.ServiceRelease, 300*time.Millisecond)
	var same, different []api.ReleaseRequest
	for i := range together {
		name := fmt.Sprintf("k%d", i)
		createKey(t, cloud, vault, emulator.KeySpec{Name: name, Kty: "EC-HSM", Curve: "P-256"})
		different = append(different, api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: name})
		same = append(same, different[0])
	}
	for _, c := range []struct {
		name                     string
		requests                 []api.ReleaseRequest
		attestations, toTheVault int
	}{{"the same key", same, 1, 1}, {"different keys", different, 1, together}} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, append(cloud.Environment(cloud.Machine()), "SKR_MAX_CONCURRENT=256")).ready(t)
			cloud.Faults().ResetCounters()
			if err := askTogether(t, s, c.requests); err != nil {
				t.Fatal(err)
			}
			if got := cloud.Faults().Requests(emulator.ServiceAttest); got != c.attestations {
				t.Errorf("%d attestations, want %d", got, c.attestations)
			}
			if got := cloud.Faults().Requests(emulator.ServiceIdentity); got != 1 {
				t.Errorf("%d requests for an access token, want 1", got)
			}
			if got := cloud.Faults().Requests(emulator.ServiceVault); got != c.toTheVault {
				t.Errorf("%d requests to the vault, want %d", got, c.toTheVault)
			}
		})
	}
}

// A pod with max_stale survives an outage of the vault, and reports the stale key.
func TestOutageIsSurvived(t *testing.T) {
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	s := start(t, append(cloud.Environment(cloud.Machine()), "SKR_KEY_CACHE_TTL=2s", "SKR_MAX_STALE=1h", "SKR_REQUEST_TIMEOUT=10s")).ready(t)
	body := `{"maa_endpoint":"` + cloud.AttestationHost() + `","akv_endpoint":"` + vault + `","kid":"k"}`
	ask := func() (origin string) {
		response, err := http.Post("http://"+s.address+api.RouteRelease, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("status %d", response.StatusCode)
		}
		return response.Header.Get("X-Cache")
	}
	if got := ask(); got != "miss" {
		t.Errorf("the first answer is a %s", got)
	}
	if got := ask(); got != "hit" {
		t.Errorf("the second answer is a %s", got)
	}
	rule, err := fault.ParseRule("vault:status=503")
	if err == nil {
		err = cloud.Faults().Add(rule)
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "skr serves a stale key", func() bool { return ask() == "stale" })
	cloud.Faults().Clear()
}

// The signing keys of each authority that an alias names, fallbacks included, are fetched
// before the first request for a release.
func TestAuthoritiesAreMet(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	start(t, append(cloud.Environment(cloud.Machine()), `SKR_KEYS={"demo":{"vault":"`+cloud.Host("demo", "vault")+
		`","key":"k","authorities":["`+cloud.AttestationHost()+`","`+cloud.Host("sharedweu.weu", "attest")+`"]}}`))
	eventually(t, "both authorities get a request for their keys", func() bool {
		return cloud.Faults().Requests(emulator.ServiceMAACerts) == 2
	})
}
