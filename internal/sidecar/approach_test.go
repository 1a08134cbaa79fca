package sidecar

import (
	"crypto/x509"
	"net"
	"net/http/httptrace"
	"testing"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/azure/httpclient"
	"skr/internal/azure/outbound"
	"skr/keyrelease"
)

// door accepts connections and never answers; knocks has one element for each.
func door(t *testing.T) (port string, knocks chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	knocks = make(chan struct{}, 8)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			knocks <- struct{}{}
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port, knocks
}

func knocked(t *testing.T, who string, knocks chan struct{}) {
	t.Helper()
	select {
	case <-knocks:
	case <-time.After(10 * time.Second):
		t.Fatalf("nobody connected to the %s", who)
	}
}

// The vault's connection is made when the authority has its request, and not before.
func TestApproachTakesTurns(t *testing.T) {
	authorityPort, authorityKnocks := door(t)
	vaultPort, vaultKnocks := door(t)
	authorities, err := attest.ParseAuthorities([]string{"*.attest.localhost:" + authorityPort})
	if err != nil {
		t.Fatal(err)
	}
	vaults, err := hsm.ParseVaults([]string{"*.vault.localhost:" + vaultPort})
	if err != nil {
		t.Fatal(err)
	}
	var request keyrelease.Request
	if request.Authority, err = authorities.Parse("a.attest.localhost:" + authorityPort); err != nil {
		t.Fatal(err)
	}
	if request.Key, err = vaults.Parse("v.vault.localhost:"+vaultPort, "k"); err != nil {
		t.Fatal(err)
	}
	parts := &Parts{out: &outbound.Clients{Public: httpclient.NewTransport(httpclient.TransportConfig{Roots: x509.NewCertPool()})}}
	asking := parts.approach(t.Context(), request)
	knocked(t, "authority", authorityKnocks)
	if len(vaultKnocks) > 0 {
		t.Error("the vault was approached before the authority had been asked")
	}
	httptrace.ContextClientTrace(asking).WroteRequest(httptrace.WroteRequestInfo{})
	knocked(t, "vault", vaultKnocks)
}
