package emulator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"

	"skr/test/emulator/imds"
)

// Certificates says where a machine finds the certificates of its processor.
type Certificates string

// The places. Only AtHost sets thim_url and mounts the host's document; with the others
// the sidecar must detect the place.
const (
	AtHost        Certificates = "host"   // a mounted document, and IMDS as thim_url
	AtFabric      Certificates = "fabric" // the host's proxy, as on ACI: Fabric_NodeIPOrFQDN
	AtVirtualNode Certificates = "vn2"    // the host's proxy, as on virtual nodes: VN2_THIM_ENDPOINT
	AtIMDS        Certificates = "imds"   // IMDS alone
)

// ParseCertificates parses the name of a place.
func ParseCertificates(name string) (Certificates, error) {
	known := []Certificates{AtHost, AtFabric, AtVirtualNode, AtIMDS}
	if c := Certificates(name); slices.Contains(known, c) {
		return c, nil
	}
	return "", fmt.Errorf("unknown place of certificates %q; use one of %q", name, known)
}

// environment returns the variables that lead to the place.
func (m *Machine) placeEnvironment() []string {
	switch m.config.Certificates {
	case AtFabric:
		return []string{"Fabric_NodeIPOrFQDN=" + m.proxy.Addr().String()}
	case AtVirtualNode:
		return []string{"VN2_THIM_ENDPOINT=http://" + m.proxy.String() + imds.CertificationPath}
	case AtIMDS:
		return nil
	}
	return []string{"SKR_THIM_URL=" + m.cloud.IMDSURL() + imds.CertificationPath}
}

// openPlace starts the host's proxy if the machine needs it.
func (m *Machine) openPlace() (err error) {
	if _, err := ParseCertificates(string(m.config.Certificates)); err != nil {
		return err
	}
	if m.config.Certificates != AtFabric && m.config.Certificates != AtVirtualNode {
		return nil
	}
	if m.config.Platform != ACI {
		return fmt.Errorf("platform %q has no proxy of the host; only %q has", m.config.Platform, ACI)
	}
	m.proxy, err = m.cloud.hostProxy()
	return err
}

// proxyPort is the port of the host's proxy (microsoft/confidential-sidecar-containers,
// issue 154).
const proxyPort = 2377

// startProxy serves THIM as the proxy of an ACI host does. The port is fixed, so that each
// cloud has a loopback address of its own.
func (c *Cloud) startProxy() (netip.AddrPort, error) {
	s, address, err := listenAtPort(c.running, proxyPort)
	if err != nil {
		return address, fmt.Errorf("starting the host's proxy: %w", err)
	}
	if err := c.own(s); err != nil {
		return address, err
	}
	s.http.IdleTimeout = c.config.IdleTimeout
	s.listener = c.faults.Listener(ServiceProxy, s.listener)
	s.serve(c.running, c.wrap(proxyService, imds.NewProxy(c.silicon)), c.config.Log)
	return address, nil
}

func proxyService(r *http.Request) string {
	if r.URL.Path == imds.CertificationPath {
		return ServiceProxyTHIM
	}
	return ServiceProxy + "/other"
}

// listenAtPort finds a loopback address with a free port. Linux has all of 127.0.0.0/8,
// and other systems only 127.0.0.1.
func listenAtPort(ctx context.Context, port uint16) (*server, netip.AddrPort, error) {
	var failed []error
	for attempt := range 10 {
		address := netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(254)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))})
		if attempt == 9 {
			address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		at := netip.AddrPortFrom(address, port)
		s, err := listenLoopback(ctx, at.String())
		if err == nil {
			return s, at, nil
		}
		failed = append(failed, err)
	}
	return nil, netip.AddrPort{}, errors.Join(failed...)
}
