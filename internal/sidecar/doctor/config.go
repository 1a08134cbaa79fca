package doctor

import (
	"context"
	"time"

	"skr/attest"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/hsm"
	"skr/internal/azure/httpclient"
	"skr/keyrelease"
)

// Config is what is examined. Targets, Endpoints, Caches, Problems, UnsetLists and Local may be missing.
type Config struct {
	Attester *attest.Attester
	Endorser attest.Endorser
	Context  *uvm.SecurityContext
	// OtherSilicon is set if amd_roots replaces AMD's roots. Microsoft endorses no utility
	// VM for such silicon.
	OtherSilicon bool
	// Problems returns the optional parts that cannot be used; nil means none.
	Problems  func() []Problem
	Releaser  Releaser
	Describer keyrelease.Describer
	Identity  keyrelease.Identity
	// IdentityName describes Identity: "workload identity".
	IdentityName string
	// Caches are the places of the host's certificate cache, in the order in which they are
	// asked.
	Caches []Cache
	// Endpoints are asked in this order.
	Endpoints []Endpoint
	// Targets are the keys that should be released.
	Targets []Target
	// UnsetLists are the names of the allow-lists that have their defaults.
	UnsetLists []string
	// Local returns the problems of the sidecar on this machine, and an error if no sidecar
	// answers or it is not ready. Nil if the sidecar itself examines.
	Local func(context.Context) ([]Problem, error)
	// Timeout of each step; 0 means 20 s.
	Timeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Target is a key that should be released.
type Target struct {
	// Name is the alias, or the key's name.
	Name string
	// Request is the release that an application would request.
	Request keyrelease.Request
	// InVault marks a key that its vault uses: nothing is attested or released.
	InVault bool
}

// Endpoint is a service that must be reachable.
type Endpoint struct {
	// Name is its host, for people.
	Name string
	// URL to ask. Any status below 500 shows that the service is there.
	URL  string
	HTTP *httpclient.Client
	// Clock adds a comparison of its Date header with our clock.
	Clock bool
}

// Cache is a place of the host's certificate cache.
type Cache struct {
	// From is the setting or variable that leads there.
	From string
	// URL is its address; "" if From leads to none.
	URL string
	// Source asks it.
	Source vcek.Source
}

// Problem is an optional part that is configured and cannot be used. skr runs without it.
type Problem struct {
	// Part is its name: "UVM endorsement".
	Part string
	// Reason is why it cannot be used, Fix what to do.
	Reason, Fix string
}

// PodStart is the part of a problem that is none of a part: nothing has called the sidecar since it started.
const PodStart = "pod start"

// Releaser is the release pipeline.
type Releaser interface {
	// Token returns a token of authority for evidence over runtimeData.
	Token(ctx context.Context, authority attest.Authority, runtimeData []byte) (*attest.Result, error)
	// Release releases a key, which the caller wipes.
	Release(ctx context.Context, request keyrelease.Request) (*hsm.Key, error)
}
