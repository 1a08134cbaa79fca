package fleet

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"time"

	"skr/api"
	"skr/attest"
	"skr/hsm"
	"skr/internal/azure/httpclient"
	"skr/keyrelease"
)

// pod is an application with its sidecar.
type pod struct {
	world      *world
	maa, vault *httpclient.Client
	attested   map[attest.Authority]time.Time // when
	request    keyrelease.Request
	chance     *rand.Rand
}

func (w *world) newPod(n int, c *Config) *pod {
	p := &pod{world: w, chance: rand.New(rand.NewPCG(seed, uint64(n)))}
	fleet := c.Policy.fleet(n, p.chance)
	client := func(service string) *httpclient.Client {
		return httpclient.New(httpclient.Config{Service: service, Transport: w.network, Fleet: fleet, Jitter: p.jitter})
	}
	p.maa, p.vault = client("the attestation service"), client("the vault")
	p.attested = make(map[attest.Authority]time.Time)
	p.request = w.request(n)
	return p
}

func (p *pod) jitter(ceiling time.Duration) time.Duration {
	return time.Duration(p.chance.Int64N(int64(ceiling) + 1))
}

// attestationAge is the product's attestation_max_age.
const attestationAge = time.Hour

// Release sends the requests of keyrelease.Releaser: one to the authority unless it attested
// the pod recently, and one to the vault.
func (p *pod) Release(ctx context.Context, r keyrelease.Request) (*hsm.Key, error) {
	if at, done := p.attested[r.Authority]; !done || time.Since(at) >= attestationAge {
		if _, err := p.maa.Do(ctx, httpclient.Request{Method: http.MethodPost, URL: r.Authority.Host().URL() + "/attest/SevSnpVm"}); err != nil {
			return nil, err
		}
		p.attested[r.Authority] = time.Now()
	}
	if _, err := p.vault.Do(ctx, httpclient.Request{Method: http.MethodPost, URL: r.Key.Host().URL() + "/keys/key/release"}); err != nil {
		return nil, err
	}
	return p.world.key.Clone(), nil
}

// RoundTrip passes a request from the application to its sidecar. To save memory, all pods
// share one server, which finds the pod in the context.
func (p *pod) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	p.world.server.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), podKey{}, p)))
	return answer.Result(), nil
}

type podKey struct{}

// releases is the Releaser of the shared server.
type releases struct{}

func (releases) Release(ctx context.Context, _ keyrelease.Request) (*hsm.Key, error) {
	p := ctx.Value(podKey{}).(*pod)
	key, _, err := keyrelease.Anywhere(ctx, p, p.request)
	return key, err
}

// outcome describes how a pod got its key.
type outcome struct {
	waited   time.Duration
	restarts int // of the application, after an error that its client does not retry
}

// run is the application, which requests its key until it has it. Its client waits as long as
// skr demands. Without such a wait the application ends. It is then restarted after 10 s,
// doubling up to 5 min, as in Kubernetes.
func (p *pod) run(ctx context.Context) (o outcome, err error) {
	begin := time.Now()
	client, err := api.NewClient(api.Config{
		HTTPClient: &http.Client{Transport: p}, Attempts: 1 << 20, MaxRetryAfter: 24 * time.Hour,
	})
	if err != nil {
		return o, err
	}
	for backOff := 10 * time.Second; ; backOff = min(2*backOff, 5*time.Minute) {
		key, err := client.Release(ctx, api.ReleaseRequest{Alias: alias})
		if err == nil {
			key.Wipe()
			o.waited = time.Since(begin)
			return o, nil
		}
		if ctx.Err() != nil {
			return o, err
		}
		o.restarts++
		time.Sleep(backOff)
	}
}

// insist is a pod without skr's policy, for comparison. It retries exactly when the service
// allows it.
func (p *pod) insist(ctx context.Context) (o outcome, err error) {
	begin := time.Now()
	for _, host := range []string{hostOf("maa", 0), hostOf("vault", 0)} {
		for {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host, http.NoBody)
			if err != nil {
				return o, err
			}
			answer, err := p.world.network.RoundTrip(request)
			if err != nil {
				return o, err
			}
			if answer.StatusCode == http.StatusOK {
				break
			}
			after, err := time.ParseDuration(answer.Header.Get("Retry-After") + "s")
			if err != nil {
				return o, err
			}
			time.Sleep(after)
		}
	}
	o.waited = time.Since(begin)
	return o, nil
}
