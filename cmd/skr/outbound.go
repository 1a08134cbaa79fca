package main

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"skr/internal/azure/entra"
	"skr/internal/azure/httpclient"
)

// imdsAddress is the link-local address that azidentity calls.
const imdsAddress = "169.254.169.254"

// outbound holds a client for each service, over two transports.
type outbound struct {
	roots                                          *x509.CertPool
	maa, vault, entra, imds, thim, azureCache, kds *httpclient.Client
	public                                         *httpclient.Transport
}

func (s *settings) outbound(told *observer) (*outbound, error) {
	roots, err := s.caRoots()
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
	fleet, err := s.fleet(time.Now())
	if err != nil {
		return nil, fmt.Errorf("fleet_member: %w", err)
	}
	client := func(c httpclient.Config, name string) *httpclient.Client {
		c.Timeout, c.Observe = s.attemptTimeout(), told.exchanges(name)
		return httpclient.New(c)
	}
	return &outbound{
		roots:      roots,
		public:     public,
		maa:        client(httpclient.Config{Service: "the attestation service", Transport: public, Fleet: fleet}, serviceMAA),
		vault:      client(httpclient.Config{Service: "the vault", Transport: public, Fleet: fleet}, serviceVault),
		entra:      client(httpclient.Config{Service: "Entra ID", Transport: public}, serviceEntra),
		azureCache: client(httpclient.Config{Service: "Azure's certificate cache", Transport: public}, serviceAzureCache),
		kds:        client(httpclient.Config{Service: "AMD's key distribution service", Transport: public}, serviceKDS),
		imds:       client(httpclient.Config{Service: "the instance metadata service", Transport: local, Retry: entra.IMDSRetry()}, serviceIMDS),
		thim:       client(httpclient.Config{Service: "the host's certificate cache", Transport: local, Retry: thimRetry()}, serviceTHIM),
	}, nil
}

// thimRetry also heeds the status of the instance metadata service, of which the cache is
// a part, while it is updated. 404 is an answer here: there is no such certificate.
func thimRetry() httpclient.Retry { return httpclient.Retry{Also: []int{http.StatusGone}} }

// fleet is this process among others like it, for the two services that a whole
// fleet shares.
func (s *settings) fleet(now time.Time) (httpclient.Fleet, error) {
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

// openCircuits counts, by service, the hosts that are not asked for now.
func (o *outbound) openCircuits() map[string]int {
	return map[string]int{
		serviceMAA: o.maa.OpenCircuits(), serviceVault: o.vault.OpenCircuits(), serviceEntra: o.entra.OpenCircuits(),
		serviceAzureCache: o.azureCache.OpenCircuits(), serviceKDS: o.kds.OpenCircuits(),
		serviceIMDS: o.imds.OpenCircuits(), serviceTHIM: o.thim.OpenCircuits(),
	}
}

// attemptTimeout leaves time for another attempt within the request's.
func (s *settings) attemptTimeout() time.Duration { return min(10*time.Second, s.RequestTimeout/3) }
