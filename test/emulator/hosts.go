package emulator

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// kind is the kind of service behind a host name.
type kind string

const (
	kindMAA   kind = "maa"
	kindVault kind = "vault"
	kindHSM   kind = "managedhsm"
	kindEntra kind = "entra"
	kindARM   kind = "arm"
	kindKDS   kind = "kds"

	kindAzureCache kind = "azure-cache"
	kindPCS        kind = "pcs"
	kindTHIM       kind = "thim"
)

// kinds maps labels in host names to the kind of service. The labels are the
// same on Azure and under .localhost: NAME.REGION.attest.azure.net,
// NAME.vault.azure.net, NAME.managedhsm.azure.net, REGION.thim.azure.net.
var kinds = map[string]kind{"attest": kindMAA, "vault": kindVault, "managedhsm": kindHSM, "thim": kindTHIM}

const (
	localDomain = ".localhost"
	loginLocal  = "login.localhost"
	loginAzure  = "login.microsoftonline.com"
	armLocal    = "management.localhost"
	armAzure    = "management.azure.com"
	kdsLocal    = "kdsintf.localhost"

	azureCacheLocal = "global.acccache.localhost"
	pcsLocal        = "api.trustedservices.localhost"

	intelCertificatesLocal = "certificates.trustedservices.localhost"
	maxHosts               = 256 // clients choose the names, and each costs an RSA key
)

// virtual is one virtual host.
type virtual struct {
	name string
	kind kind
	// service is the parent domain of a vault ("vault.azure.net") and the name
	// itself for other services.
	service string
}

// fixedHosts are services with one name; all others have many.
var fixedHosts = map[string]kind{
	loginLocal: kindEntra, loginAzure: kindEntra,
	armLocal: kindARM, armAzure: kindARM,
	kdsLocal: kindKDS, "kdsintf.amd.com": kindKDS,
	azureCacheLocal: kindAzureCache, "global.acccache.azure.net": kindAzureCache,
	pcsLocal: kindPCS, "api.trustedservices.intel.com": kindPCS,
	intelCertificatesLocal: kindPCS, "certificates.trustedservices.intel.com": kindPCS,
}

// parseHost parses a lower-case DNS name.
func parseHost(name string) (virtual, bool) {
	if k, ok := fixedHosts[name]; ok {
		return virtual{name, k, name}, true
	}
	labels := strings.Split(name, ".")
	for i, label := range labels[1:] {
		if k, ok := kinds[label]; ok && labels[0] != "" {
			return virtual{name, k, strings.Join(labels[i+1:], ".")}, true
		}
	}
	return virtual{}, false
}

// registry creates the service of a virtual host on first use.
type registry struct {
	extra []string
	port  uint16
	build func(virtual) (http.Handler, error)

	mu       sync.Mutex
	services map[string]func() (http.Handler, error) // by name
}

func newRegistry(extra []string, port uint16, build func(virtual) (http.Handler, error)) (*registry, error) {
	r := &registry{port: port, build: build, services: make(map[string]func() (http.Handler, error))}
	for _, name := range extra {
		lower := strings.ToLower(name)
		if _, ok := parseHost(lower); !ok {
			return nil, fmt.Errorf("unknown extra host %q; use one of %q, NAME.….attest.…, NAME.vault.… or NAME.managedhsm.…",
				name, slices.Sorted(maps.Keys(fixedHosts)))
		}
		r.extra = append(r.extra, lower)
	}
	return r, nil
}

// find returns the virtual host of a name and reports whether it belongs to
// this cloud.
func (r *registry) find(name string) (virtual, bool) {
	if !strings.HasSuffix(name, localDomain) && !slices.Contains(r.extra, name) {
		return virtual{}, false
	}
	return parseHost(name)
}

func (r *registry) allowed(name string) bool {
	_, ok := r.find(name)
	return ok
}

// url returns the base URL of a host name. Names under .localhost carry the
// port; others pose as the real service on port 443.
func (r *registry) url(name string) string {
	if strings.HasSuffix(name, localDomain) {
		return "https://" + net.JoinHostPort(name, strconv.Itoa(int(r.port)))
	}
	return "https://" + name
}

// service returns the handler of a host, which is created at most once.
func (r *registry) service(v virtual) (http.Handler, error) {
	r.mu.Lock()
	get, ok := r.services[v.name]
	if !ok {
		if len(r.services) >= maxHosts {
			r.mu.Unlock()
			return nil, errors.New("too many hosts in this cloud")
		}
		get = sync.OnceValues(func() (http.Handler, error) { return r.build(v) })
		r.services[v.name] = get
	}
	r.mu.Unlock()
	return get()
}

// ServeHTTP dispatches to the virtual host. The name in the request must be the
// one in the TLS handshake: RFC 9110 section 15.5.20.
func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	v, ok := r.requested(req)
	if !ok {
		http.Error(w, "the emulator does not serve this host, or not on this connection", http.StatusMisdirectedRequest)
		return
	}
	handler, err := r.service(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	handler.ServeHTTP(w, req)
}

func (r *registry) requested(req *http.Request) (virtual, bool) {
	name := hostName(req)
	if req.TLS == nil || strings.ToLower(req.TLS.ServerName) != name {
		return virtual{}, false
	}
	return r.find(name)
}

func hostName(req *http.Request) string {
	name := req.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	return strings.ToLower(name)
}

func tlsConfig(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate}
}
