package e2e

import (
	"cmp"
	"context"
	"maps"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
	"skr/test/emulator/maa"
)

// faults are tried on each upstream. Each is the words of a fault rule, or the name of a
// list of rules in variants.
var faults = []string{
	nothingListens, "refuse", "reset", "black-hole",
	"slow-first-byte", "late-first-byte", "slow-body,delay=20ms", "slow-body", "truncate", "oversize", "not-json", "content-type",
	"status=200", "status=204", "status=302", "redirect",
	"status=400", "status=401", "status=403", "status=404", "status=408", "status=429", "status=429,retry-after=7s",
	"status=500", "status=503", "status=5xx",
	"tls=expired", "tls=wrong-name", "tls=foreign-ca", "clock=+10m", "clock=-10m",
}

// nothingListens is not a rule: nothing listens at the service's address.
const nothingListens = "nothing-listens"

// variants are equivalent rules; the seed chooses one of them.
var variants = map[string][]string{
	"slow-body":       {"slow-body,delay=5s", "slow-body,delay=8s"},
	"slow-first-byte": {"slow-first-byte,delay=5ms", "slow-first-byte,delay=50ms"},
	"late-first-byte": {"slow-first-byte,delay=1m", "slow-first-byte,delay=2m"},
	"redirect":        {"redirect=%s,status=301", "redirect=%s,status=302", "redirect=%s,status=303", "redirect=%s,status=307", "redirect=%s,status=308"},
	"status=5xx":      {"status=501", "status=502", "status=504", "status=507", "status=599"},
}

// outcomes are the codes that faults lead to.
type outcomes map[string]api.Code

// foreign marks a fault that does not apply to the upstream.
const foreign api.Code = "not applicable"

// usual are the outcomes for a service that is called over HTTP and whose answer skr
// verifies. The meaning of a 4xx or a wrong clock differs by row, see below.
var usual = outcomes{
	nothingListens:              api.Unavailable,
	"refuse":                    api.Unavailable,
	"reset":                     api.Unavailable,
	"black-hole":                late,
	"slow-first-byte":           served,
	"late-first-byte":           late,
	"slow-body":                 late,
	"slow-body,delay=20ms":      served,
	"truncate":                  api.Unavailable,
	"oversize":                  api.UntrustedResponse,
	"not-json":                  api.UntrustedResponse,
	"content-type":              served,                // the real answer, whatever its type
	"status=200":                api.UntrustedResponse, // an error's body with a success status
	"status=204":                api.UntrustedResponse,
	"status=302":                api.UntrustedResponse,
	"redirect":                  api.UntrustedResponse,
	"status=408":                api.Unavailable,
	"status=429":                api.Throttled,
	"status=429,retry-after=7s": api.Throttled,
	"status=500":                api.Unavailable,
	"status=503":                api.Unavailable,
	"status=5xx":                api.Unavailable,
	"tls=expired":               api.UntrustedResponse,
	"tls=wrong-name":            api.UntrustedResponse,
	"tls=foreign-ca":            api.UntrustedResponse,
}

var (
	// plain is for services without TLS: a local socket and link-local HTTP.
	plain = outcomes{"tls=expired": foreign, "tls=wrong-name": foreign, "tls=foreign-ca": foreign}
	// timeless is for answers whose time is not checked.
	timeless = outcomes{"clock=+10m": foreign, "clock=-10m": foreign}
	// sameHost is for documents of a host that has answered before: faults of its
	// connections are in the row of MAA attest.
	sameHost = outcomes{
		nothingListens: foreign, "refuse": foreign, "tls=expired": foreign, "tls=wrong-name": foreign, "tls=foreign-ca": foreign,
	}
	// noChain is for a certificate service whose answer does not verify.
	noChain = outcomes{
		"status=400": api.NoEndorsements, "status=401": api.NoEndorsements, "status=403": api.NoEndorsements, "status=404": api.NoEndorsements,
		"status=200": api.NoEndorsements, "status=204": api.NoEndorsements, "status=302": api.NoEndorsements, "redirect": api.NoEndorsements,
		"oversize": api.NoEndorsements, "not-json": api.NoEndorsements,
		"tls=expired": api.NoEndorsements, "tls=wrong-name": api.NoEndorsements, "tls=foreign-ca": api.NoEndorsements,
	}
)

// but returns o with the outcomes of more in place of its own.
func (o outcomes) but(more ...outcomes) outcomes {
	all := maps.Clone(o)
	for _, m := range more {
		maps.Copy(all, m)
	}
	return all
}

// upstream is a service, and the outcomes of its faults.
type upstream struct {
	name    string // of the row
	service string
	want    outcomes
	// clock is the service whose clock is set; "" means the head of service.
	clock string
	// artefact: the row tests wrong content, and has none of the faults.
	artefact bool
	// own: the sidecar calls the vault with its own identity, not with the caller's token.
	own bool
	// ask runs as much of the pipeline as reaches the service; nil means a release, which
	// costs a key pair.
	ask asking
	// fresh: the sidecar caches the answer, so that each fault needs a sidecar with an empty
	// cache.
	fresh bool
	// byTCB: the sidecar caches the answer by TCB, so that each fault needs a firmware
	// update.
	byTCB bool
	env   func(*testing.T, *emulator.Cloud) []string
	// detour puts a gate in the service's place; nil if nothingListens is foreign.
	detour func(*testing.T, *faulty) detour
	// silence is the deadline of requests while the service is silent; 0 means
	// requestTimeout.
	silence time.Duration
}

// timeout returns the timeout of requests while the service has the fault.
func (u upstream) timeout(fault string) time.Duration {
	switch {
	case u.waits(fault):
		return cmp.Or(u.silence, requestTimeout)
	case u.want[fault] == api.Throttled: // skr waits if the deadline allows
		return requestTimeout
	default:
		return attemptsTimeout
	}
}

// waiting returns how many faults make requests wait for their deadline.
func (u upstream) waiting() (count int) {
	for fault := range u.want {
		if u.waits(fault) {
			count++
		}
	}
	return count
}

// waits reports whether requests wait for their deadline while the service has the fault.
func (u upstream) waits(fault string) bool {
	return u.want[fault] == late || u.want[fault] == api.Timeout
}

// asking calls a route.
type asking func(context.Context, *sidecar, api.ReleaseRequest) error

func evidence(ctx context.Context, s *sidecar, _ api.ReleaseRequest) error {
	_, err := s.client.Evidence(ctx, []byte("{}"))
	return err
}

func token(ctx context.Context, s *sidecar, request api.ReleaseRequest) error {
	_, err := s.client.Token(ctx, request.MAAEndpoint, []byte(`{"keys":[]}`))
	return err
}

// upstreams are the rows of services. The outcome shows who refused (api/error.go).
var upstreams = []upstream{
	// The Attester: every fault means no evidence.
	{name: "report source", service: emulator.ServiceReport, ask: evidence, silence: sooner, detour: reportDetour, want: outcomes{
		"status=400": api.NoEvidence, "status=401": api.NoEvidence, "status=403": api.NoEvidence, "status=404": api.NoEvidence,
		"status=200": api.NoEvidence, "status=204": api.NoEvidence, "status=302": api.NoEvidence, "status=408": api.NoEvidence,
		"status=429": api.NoEvidence, "status=429,retry-after=7s": api.NoEvidence, "status=500": api.NoEvidence, "status=503": api.NoEvidence,
		"status=5xx": api.NoEvidence, "redirect": api.NoEvidence, nothingListens: api.NoEvidence, "refuse": api.NoEvidence,
		"reset": api.NoEvidence, "black-hole": api.Timeout, "slow-body": api.Timeout, "slow-body,delay=20ms": served,
		"slow-first-byte": served, "late-first-byte": api.Timeout,
		"truncate": api.NoEvidence, "oversize": api.NoEvidence, "not-json": api.NoEvidence, "content-type": served,
	}.but(plain, timeless)},
	{name: "THIM", service: emulator.ServiceTHIM, byTCB: true, ask: evidence, env: only("thim"), detour: thimDetour,
		want: usual.but(noChain, plain, timeless)}, // chainArtefacts tests the times of certificates
	{name: "Azure cache", service: emulator.ServiceAzureCache, byTCB: true, ask: evidence, env: only("azure-cache"), detour: cacheDetour,
		want: usual.but(noChain, timeless)},
	{name: "KDS", service: emulator.ServiceKDS, byTCB: true, ask: evidence, env: only("kds"), detour: kdsDetour,
		want: usual.but(noChain, timeless)},
	{name: "IMDS token", service: emulator.ServiceIdentity, own: true, fresh: true, clock: emulator.ServiceEntra, detour: imdsDetour,
		want: usual.but(plain, outcomes{
			"status=400": api.ReleaseRejected, "status=401": api.ReleaseRejected, "status=403": api.ReleaseRejected,
			// skr retries an IMDS that is being updated until the deadline; the last attempt may still run then.
			"status=404": late, "status=410": late,
			"clock=+10m": api.ReleaseRejected, // to the vault the token is not valid yet
			"clock=-10m": served,              // ten minutes of its hour have passed
		})},
	{name: "Entra token", service: emulator.ServiceEntraToken, own: true, fresh: true, env: workloadIdentity, detour: entraDetour,
		want: usual.but(outcomes{
			"status=400": api.ReleaseRejected, "status=401": api.ReleaseRejected, "status=403": api.ReleaseRejected, "status=404": api.ReleaseRejected,
			"clock=+10m": api.ReleaseRejected, // to the vault the token is not valid yet
			"clock=-10m": api.ReleaseRejected, // to Entra ID our assertion is not valid yet
		})},
	{name: "MAA attest", service: emulator.ServiceAttest, ask: token, detour: maaDetour, want: usual.but(outcomes{
		"status=400": api.AttestationRejected, "status=401": api.AttestationRejected, "status=403": api.AttestationRejected,
		"status=404": api.UntrustedResponse, // the host is not an attestation service
		"clock=+10m": api.UntrustedResponse, // the token is from the future by more than the leeway
		"clock=-10m": served,                // ten minutes of its hours have passed
	})},
	{name: "MAA certs", service: emulator.ServiceMAACerts, ask: token, fresh: true, want: usual.but(sameHost, timeless, outcomes{
		"status=400": api.UntrustedResponse, "status=401": api.UntrustedResponse, "status=403": api.UntrustedResponse, "status=404": api.UntrustedResponse,
	})},
	{name: "MAA discovery", service: emulator.ServiceMAAConfig, ask: token, fresh: true, want: usual.but(sameHost, timeless, outcomes{
		"status=400": api.UntrustedResponse, "status=401": api.UntrustedResponse, "status=403": api.UntrustedResponse,
		"status=404": served, // the documented path of the keys needs no discovery
	})},
	{name: "vault release", service: emulator.ServiceRelease, env: attestOnce, detour: vaultDetour, want: usual.but(outcomes{
		"status=400": api.ReleaseRejected, "status=401": api.ReleaseRejected, "status=403": api.ReleaseRejected,
		"status=404": api.KeyNotFound,
		"clock=+10m": served,              // to the vault our tokens are older, but not expired
		"clock=-10m": api.ReleaseRejected, // to the vault our tokens are not valid yet
	})},
	{name: "artefact: token", service: emulator.ServiceAttest, artefact: true, want: tokenForgeries()},
	{name: "artefact: statement", service: emulator.ServiceRelease, artefact: true, env: attestOnce, want: forged(emulator.StatementForgeries()...)},
}

// The rows of artefacts with their own tests.
const (
	reportRow = "artefact: report"
	chainRow  = "artefact: chain"
)

func only(source string) func(*testing.T, *emulator.Cloud) []string {
	return func(*testing.T, *emulator.Cloud) []string { return []string{"SKR_CERTIFICATE_SOURCES=" + source} }
}

// sooner is below the 10 s after which skr gives up on a report socket.
const sooner = 9 * time.Second

// attestOnce saves key pairs where attestation is not under test. Each release still
// calls the vault.
func attestOnce(*testing.T, *emulator.Cloud) []string {
	return []string{"SKR_ATTESTATION_MAX_AGE=1h"}
}

func workloadIdentity(t *testing.T, cloud *emulator.Cloud) []string {
	env, err := cloud.WorkloadIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func forged(names ...string) outcomes {
	want := outcomes{}
	for _, name := range names {
		want["forge="+name] = api.UntrustedResponse
	}
	return want
}

func tokenForgeries() outcomes {
	var names []string
	for _, forgery := range maa.Forgeries() {
		names = append(names, string(forgery))
	}
	return forged(names...)
}
