package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/sidecar/limit"
	"skr/internal/sidecar/server"
	"skr/keyrelease"
)

const (
	seed  = 8
	alias = "key"
	// skew is how far apart the pods of a restart start.
	skew = 2 * time.Second
	// patience bounds the simulated time, so that the run ends even if a pod never gets
	// its key.
	patience = 24 * time.Hour
)

// Limits of the simulated services. The vault's limit is Azure's for RSA-3072 keys of a
// premium vault ("Azure Key Vault service limits"). The authority's limit is an assumption,
// because Azure publishes none.
const (
	vaultLimit = 500
	maaLimit   = 2000
	window     = 10 * time.Second
)

// Config describes one run.
type Config struct {
	Pods   int
	Policy Policy
	// Regions, each with an authority and a vault; zero means one. Pods prefer them in
	// turn and fall back to the others.
	Regions int
	// Kill is when the first region dies after the start; zero means never.
	Kill time.Duration
	// Silent makes the dead region silent; otherwise it refuses connections.
	Silent bool
	// Skew overrides how far apart the pods start; zero means 2 s.
	Skew time.Duration
}

// Result is the outcome of a run.
type Result struct {
	Config Config
	// Failed are pods that got no key.
	Failed int
	// Waits of the others, sorted.
	Waits []time.Duration
	// Restarts of applications.
	Restarts int
	// Vaults and Authorities, by region.
	Vaults, Authorities []*Service
	// Total is from the first start to the last key.
	Total time.Duration
	// Memory is the peak of heap and stacks in bytes.
	Memory uint64
}

// world is what all pods share.
type world struct {
	network *network
	server  *server.Server
	key     *hsm.Key
	ways    []keyrelease.Request // one for each region
}

func hostOf(service string, region int) string {
	return fmt.Sprintf("r%d.%s.azure.net", region, map[string]string{"maa": "attest", "vault": "vault"}[service])
}

// Run simulates one fleet. Call it in a bubble of testing/synctest.
func Run(c Config) (*Result, error) {
	c.Regions = max(c.Regions, 1)
	if c.Skew == 0 {
		c.Skew = skew
	}
	result := &Result{Config: c}
	w, err := newWorld(result)
	if err != nil {
		return nil, err
	}
	defer w.key.Wipe()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	begin := time.Now()
	outcomes := make([]*outcome, c.Pods)
	var running sync.WaitGroup
	for n := range c.Pods {
		running.Go(func() { outcomes[n] = w.start(ctx, n, &c) })
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	result.Memory = watch(done)
	result.Total = time.Since(begin)
	result.collect(outcomes)
	return result, nil
}

// start starts a pod a little after the others, and lets it run.
func (w *world) start(ctx context.Context, n int, c *Config) *outcome {
	chance := rand.New(rand.NewPCG(seed+1, uint64(n)))
	time.Sleep(time.Duration(chance.Int64N(int64(c.Skew))))
	p := w.newPod(n, c)
	run := p.run
	if c.Policy.Insist {
		run = p.insist
	}
	o, err := run(ctx)
	if err != nil {
		return nil
	}
	return &o
}

// watch measures memory until done is closed.
func watch(done <-chan struct{}) (most uint64) {
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse+m.StackInuse)
		select {
		case <-done:
			return most
		case <-time.After(time.Second):
		}
	}
}

func (r *Result) collect(outcomes []*outcome) {
	for _, o := range outcomes {
		if o == nil {
			r.Failed++
			continue
		}
		r.Waits = append(r.Waits, o.waited)
		r.Restarts += o.restarts
	}
	slices.Sort(r.Waits)
}

func newWorld(result *Result) (*world, error) {
	c := result.Config
	services := make(map[string]*Service)
	for region := range c.Regions {
		vault := &Service{Limit: vaultLimit, Window: window, Latency: 20 * time.Millisecond, Silent: c.Silent}
		authority := &Service{Limit: maaLimit, Window: window, Latency: 40 * time.Millisecond, Silent: c.Silent}
		if region == 0 && c.Kill > 0 {
			vault.Dies = time.Now().Add(c.Kill)
			authority.Dies = vault.Dies
		}
		services[hostOf("vault", region)], services[hostOf("maa", region)] = vault, authority
		result.Vaults, result.Authorities = append(result.Vaults, vault), append(result.Authorities, authority)
	}
	key, err := hsm.ReadSecret(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	w := &world{network: newNetwork(services), key: key}
	return w, w.serve(c.Regions)
}

// serve makes the server of all pods.
func (w *world) serve(regions int) error {
	authorities, err := attest.ParseAuthorities(attest.DefaultAuthorities())
	if err != nil {
		return err
	}
	vaults, err := hsm.ParseVaults(hsm.DefaultVaults())
	if err != nil {
		return err
	}
	for region := range regions {
		authority, wrong := authorities.Parse(hostOf("maa", region))
		key, bad := vaults.Parse(hostOf("vault", region), "key")
		if err := errors.Join(wrong, bad); err != nil {
			return err
		}
		w.ways = append(w.ways, keyrelease.Request{Authority: authority, Key: key})
	}
	w.server, err = server.New(server.Config{
		Releases: releases{}, Authorities: authorities, Vaults: vaults, Evidence: nothing{}, Tokens: nothing{},
		Aliases: map[string]keyrelease.Request{alias: w.ways[0]},
		Gate:    limit.New(limit.Config{MaxConcurrent: 1 << 30, MaxQueued: 1 << 30, Rate: 1 << 40}),
	})
	return err
}

// request returns the request of the n-th pod, whose own region comes first.
func (w *world) request(n int) keyrelease.Request {
	own := n % len(w.ways)
	return keyrelease.WithFallbacks(append(slices.Clone(w.ways[own:]), w.ways[:own]...))
}

// Nothing attests outside of a release.
type nothing struct{}

var errNothing = errors.New("fleet: not simulated")

func (nothing) Report(context.Context, []byte) (*attest.Evidence, error)   { return nil, errNothing }
func (nothing) Evidence(context.Context, []byte) (*attest.Evidence, error) { return nil, errNothing }
func (nothing) Verbatim(context.Context, []byte) (*attest.Evidence, error) { return nil, errNothing }
func (nothing) Platform(context.Context) (attest.Platform, error)          { return attest.Direct, errNothing }
func (nothing) Token(context.Context, attest.Authority, []byte) (*attest.Result, error) {
	return nil, errNothing
}
