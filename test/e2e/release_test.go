package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"skr/api"
	"skr/attest/snp"
	"skr/internal/jose/jwk"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/snptest"
)

// policyFor returns a policy that allows a key to machines with this HOST_DATA.
func policyFor(cloud *emulator.Cloud, data snp.HostData) []byte {
	return fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[
		{"claim":"x-ms-attestation-type","equals":"sevsnpvm"},
		{"claim":"x-ms-compliance-status","equals":"azure-compliant-uvm"},
		{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"false"},
		{"claim":"x-ms-sevsnpvm-hostdata","equals":"%s"}]}]}`, cloud.AttestationHost(), data)
}

func createKey(t testing.TB, cloud *emulator.Cloud, vault string, spec emulator.KeySpec) string {
	t.Helper()
	id, err := cloud.CreateKey(t.Context(), vault, spec, policyFor(cloud, cloud.Machine().HostData()))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestReleaseEveryKind(t *testing.T) {
	t.Parallel()
	for _, product := range []snp.Product{snp.Milan, snp.Genoa, snp.Turin} {
		t.Run(product.String(), func(t *testing.T) {
			cloud := program.Cloud(t, emulator.Config{Product: product})
			s := start(t, cloud.Environment(cloud.Machine())).ready(t)
			for _, service := range []string{"vault", "managedhsm"} {
				specs := []emulator.KeySpec{
					{Name: "rsa", Size: 2048},
					{Name: "p256", Kty: "EC-HSM", Curve: "P-256"},
					{Name: "p384", Kty: "EC-HSM", Curve: "P-384"},
					{Name: "p521", Kty: "EC-HSM", Curve: "P-521"},
					{Name: "p256k", Kty: "EC-HSM", Curve: "P-256K"},
				}
				if service == "managedhsm" {
					specs = append(specs, emulator.KeySpec{Name: "aes", Kty: "oct-HSM", Size: 256})
				}
				for _, spec := range specs {
					t.Run(service+"/"+spec.Name, func(t *testing.T) { releaseOne(t, cloud, s, cloud.Host("demo", service), spec) })
				}
			}
			if got := cloud.Faults().Requests(emulator.ServiceAttest); got != 1 {
				t.Errorf("%d attestations for all releases, want 1: the attested KEK is reused", got)
			}
		})
	}
}

func releaseOne(t *testing.T, cloud *emulator.Cloud, s *sidecar, vault string, spec emulator.KeySpec) {
	id := createKey(t, cloud, vault, spec)
	counted := emulator.ServiceRelease
	if strings.Contains(vault, "managedhsm") {
		counted = emulator.ServiceHSMRelease
	}
	before := cloud.Faults().Requests(counted)
	released, err := s.client.ReleaseKey(t.Context(), api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: spec.Name})
	if err != nil {
		t.Fatal(err)
	}
	if got := cloud.Faults().Requests(counted) - before; got != 1 {
		t.Errorf("%d requests to the vault, want 1", got)
	}
	key, err := jwk.Parse(released.JWK)
	if err != nil {
		t.Fatal(err)
	}
	if released.ID != id || key.Kid != "" || len(key.KeyOps) == 0 {
		t.Errorf("id %q, kid %q, key_ops %q; want id %q, no kid and some operations", released.ID, key.Kid, key.KeyOps, id)
	}
	if want := map[string]string{"P-256K": "secp256k1"}[spec.Curve]; want != "" && key.Crv != want {
		t.Errorf("the curve is named %q, want %q", key.Crv, want)
	}
	if key.Kty == "oct" {
		if len(key.K) != 43 { // 32 bytes, base64url
			t.Errorf("k has %d characters, want 43", len(key.K))
		}
		return
	}
	if _, err := key.PrivateKey(); err != nil {
		t.Errorf("the released key is not a private key: %v", err)
	}
}

func TestReleaseByVersion(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	s := start(t, cloud.Environment(cloud.Machine())).ready(t)
	vault := cloud.Host("demo", "vault")
	first := createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	second := createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	for kid, want := range map[string]string{"k": second, "k/" + first[strings.LastIndex(first, "/")+1:]: first} {
		key, err := s.client.ReleaseKey(t.Context(), api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: kid})
		if err != nil || key.ID != want {
			t.Errorf("kid %q gave %q, %v; want %q", kid, key.ID, err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	stranger, err := cloud.AddMachine("stranger", emulator.MachineConfig{Policy: "package other"})
	if err != nil {
		t.Fatal(err)
	}
	debug, err := cloud.AddMachine("debug", emulator.MachineConfig{Report: snptest.Options{Policy: 0x3001f | 1<<19}})
	if err != nil {
		t.Fatal(err)
	}
	good := api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: "k"}
	with := func(change func(*api.ReleaseRequest)) api.ReleaseRequest { r := good; change(&r); return r }
	cases := []struct {
		name    string
		machine *emulator.Machine
		request api.ReleaseRequest
		want    api.Code
	}{
		{"other CCE policy", stranger, good, api.ReleaseRejected},
		{"debuggable", debug, good, api.ReleaseRejected},
		{"no such key", cloud.Machine(), with(func(r *api.ReleaseRequest) { r.KID = "absent" }), api.KeyNotFound},
		{"no such version", cloud.Machine(), with(func(r *api.ReleaseRequest) { r.KID = "k/" + strings.Repeat("0", 32) }), api.KeyNotFound},
		{"vault not allowed", cloud.Machine(), with(func(r *api.ReleaseRequest) { r.AKVEndpoint = "evil.example" }), api.EndpointNotAllowed},
		{"authority not allowed", cloud.Machine(), with(func(r *api.ReleaseRequest) { r.MAAEndpoint = "evil.example" }), api.EndpointNotAllowed},
		{"path as key name", cloud.Machine(), with(func(r *api.ReleaseRequest) { r.KID = "../secrets/s" }), api.BadRequest},
		{"bad access token", cloud.Machine(), with(func(r *api.ReleaseRequest) { r.AccessToken = api.Secret("not-ours") }), api.ReleaseRejected},
	}
	sidecars := map[*emulator.Machine]*sidecar{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if sidecars[c.machine] == nil {
				sidecars[c.machine] = start(t, cloud.Environment(c.machine)).ready(t)
				t.Cleanup(func() { delete(sidecars, c.machine) })
			}
			_, err := sidecars[c.machine].client.Release(t.Context(), c.request)
			refused, ok := errors.AsType[*api.Error](err)
			if !ok || refused.Code != c.want || refused.Status != c.want.HTTPStatus() || refused.RequestID == "" {
				t.Errorf("got %v, want code %q", err, c.want)
			}
		})
	}
}

// A firmware update changes TCB and VCEK. The next call succeeds, and so does the one
// after it.
func TestFirmwareUpdate(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	s := start(t, append(cloud.Environment(cloud.Machine()), "SKR_ATTESTATION_MAX_AGE=0")).ready(t)
	release := func() {
		t.Helper()
		if _, err := s.client.Release(t.Context(), api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: "k"}); err != nil {
			t.Fatal(err)
		}
		evidence, err := s.client.Evidence(t.Context(), []byte("data"))
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.ToUpper(cloud.Chip().TCB().Hex()); evidence.EndorsedTCB != want {
			t.Fatalf("endorsed TCB %s, want %s", evidence.EndorsedTCB, want)
		}
	}
	release()
	before := cloud.Chip().TCB().Components()
	updated := before
	updated.Microcode = 211
	for _, tcb := range []snp.Components{updated, before} {
		cloud.Chip().SetTCB(tcb)
		release()
		release()
	}
}

func TestWorkloadIdentity(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	identity, err := cloud.WorkloadIdentity()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, append(cloud.Environment(cloud.Machine()), identity...)).ready(t)
	if _, err := s.client.Release(t.Context(), api.ReleaseRequest{MAAEndpoint: cloud.AttestationHost(), AKVEndpoint: vault, KID: "k"}); err != nil {
		t.Fatal(err)
	}
	if got := cloud.Faults().Requests(emulator.ServiceIdentity); got != 0 {
		t.Errorf("the managed identity got %d requests", got)
	}
}
