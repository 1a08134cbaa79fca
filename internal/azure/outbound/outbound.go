// Package outbound makes the clients for all services that skr and skrctl call, as the
// settings say: one transport for the public services, and one without a proxy for those
// of the machine (IMDS, THIM, TDX quotes).
//
//	out, err := outbound.New(settings, nil)
//	verifier := maa.New(maa.Config{HTTP: out.MAA.Transporter()})
package outbound

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"skr/internal/azure/entra"
	"skr/internal/azure/httpclient"
	"skr/internal/config"
)

// imdsAddress is the link-local address that azidentity calls.
const imdsAddress = "169.254.169.254"

// Clients holds a client for each service, over two transports.
type Clients struct {
	Roots                                                         *x509.CertPool
	MAA, Vault, Entra, IMDS, thim, azureCache, kds, intel, quotes *httpclient.Client
	Public                                                        *httpclient.Transport
}

// New returns the clients for the settings. A nil observe disables observation.
func New(s *config.Settings, observe func(service string) func(context.Context, httpclient.Exchange)) (*Clients, error) {
	roots, err := caRoots(s)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	imds, err := url.Parse(s.IMDSURL)
	if err != nil || imds.Host == "" {
		return nil, fmt.Errorf("imds_url: %q is not a URL", s.IMDSURL)
	}
	public := httpclient.NewTransport(httpclient.TransportConfig{Roots: roots})
	local := httpclient.NewTransport(httpclient.TransportConfig{
		Roots: roots, Direct: true, Rewrite: map[string]*url.URL{imdsAddress: imds},
	})
	fleet, err := placeInFleet(s, time.Now())
	if err != nil {
		return nil, fmt.Errorf("fleet_member: %w", err)
	}
	client := func(c httpclient.Config, name string) *httpclient.Client {
		c.Timeout = attemptTimeout(s)
		if observe != nil {
			c.Observe = observe(name)
		}
		return httpclient.New(c)
	}
	return &Clients{
		Roots:      roots,
		Public:     public,
		MAA:        client(httpclient.Config{Service: "the attestation service", Transport: public, Fleet: fleet}, ServiceMAA),
		Vault:      client(httpclient.Config{Service: "the vault", Transport: public, Fleet: fleet}, ServiceVault),
		Entra:      client(httpclient.Config{Service: "Entra ID", Transport: public}, ServiceEntra),
		azureCache: client(httpclient.Config{Service: "Azure's certificate cache", Transport: public}, ServiceAzureCache),
		kds:        client(httpclient.Config{Service: "AMD's key distribution service", Transport: public}, ServiceKDS),
		intel:      client(httpclient.Config{Service: "Intel's certification service or a cache of it", Transport: public}, ServiceIntel),
		IMDS:       client(httpclient.Config{Service: "the instance metadata service", Transport: local, Retry: entra.IMDSRetry()}, ServiceIMDS),
		thim:       client(httpclient.Config{Service: "the host's certificate cache", Transport: local, Retry: thimRetry()}, ServiceTHIM),
		quotes:     client(httpclient.Config{Service: "the host's TDX quote service", Transport: local}, ServiceTDQuote),
	}, nil
}

// thimRetry also retries 410, which the instance metadata service returns during an update. 404 means
// here that there is no such certificate.
func thimRetry() httpclient.Retry { return httpclient.Retry{Also: []int{http.StatusGone}} }

// placeInFleet returns the place of this process in its fleet, for the two services that the fleet shares.
func placeInFleet(s *config.Settings, now time.Time) (httpclient.Fleet, error) {
	place, err := httpclient.ParsePlace(s.FleetMember)
	if err != nil {
		return httpclient.Fleet{}, err
	}
	fleet := httpclient.Fleet{Window: s.FleetWindow, Place: place}
	if s.FleetInTurn {
		fleet.First = fleet.Turn(now)
	}
	return fleet, nil
}

// attemptTimeout leaves time for another attempt within the request timeout.
func attemptTimeout(s *config.Settings) time.Duration { return min(10*time.Second, s.RequestTimeout/3) }

// Names of services in log, metrics and traces.
const (
	ServiceMAA        = "maa"
	ServiceVault      = "vault"
	ServiceEntra      = "entra"
	ServiceIMDS       = "imds"
	ServiceTHIM       = "thim"
	ServiceAzureCache = "azure_cache"
	ServiceKDS        = "kds"
	ServiceIntel      = "intel"
	ServiceTDQuote    = "td_quote"
)

// OpenCircuits counts, by service, the hosts that get no requests for now.
func (o *Clients) OpenCircuits() map[string]int {
	return map[string]int{
		ServiceMAA: o.MAA.OpenCircuits(), ServiceVault: o.Vault.OpenCircuits(), ServiceEntra: o.Entra.OpenCircuits(),
		ServiceAzureCache: o.azureCache.OpenCircuits(), ServiceKDS: o.kds.OpenCircuits(), ServiceIntel: o.intel.OpenCircuits(),
		ServiceIMDS: o.IMDS.OpenCircuits(), ServiceTHIM: o.thim.OpenCircuits(), ServiceTDQuote: o.quotes.OpenCircuits(),
	}
}
