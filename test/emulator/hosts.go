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

// kind is what a host name stands for.
type kind string

const (
	kindMAA   kind = "maa"
	kindVault kind = "vault"
	kindHSM   kind = "managedhsm"
	kindEntra kind = "entra"
	kindKDS   kind = "kds"

	kindAzureCache kind = "azure-cache"
)

// Labels in host names, which are the same on Azure and under .localhost:
// NAME.REGION.attest.azure.net, NAME.vault.azure.net, NAME.managedhsm.azure.net.
var kinds = map[string]kind{"attest": kindMAA, "vault": kindVault, "managedhsm": kindHSM}

const (
	localDomain = ".localhost"
	loginLocal  = "login.localhost"
	loginAzure  = "login.microsoftonline.com"
	kdsLocal    = "kdsintf.localhost"

	azureCacheLocal = "global.acccache.localhost"
	maxHosts        = 256 // names are made by clients; each costs an RSA key
)

// virtual is one virtual host.
type virtual struct {
	name string
	kind kind
	// service is the parent of a vault's name, "vault.azure.net", and the name
	// itself for others.
	service string
}

// fixedHosts are services with one name; the rest are many of a kind.
var fixedHosts = map[string]kind{
	loginLocal: kindEntra, loginAzure: kindEntra,
	kdsLocal: kindKDS, "kdsintf.amd.com": kindKDS,
	azureCacheLocal: kindAzureCache, "global.acccache.azure.net": kindAzureCache,
}

// parseHost says what a lower-case DNS name stands for.
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

// registry makes the services of virtual hosts when they are first asked for.
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
			return nil, fmt.Errorf("the extra host %q is none of %q, NAME.….attest.…, NAME.vault.… and NAME.managedhsm.…", name, slices.Sorted(maps.Keys(fixedHosts)))
		}
		r.extra = append(r.extra, lower)
	}
	return r, nil
}

// find says what a name stands for, if it is a host of this cloud.
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

// url of a host name: names under .localhost carry the port, others pose as
// the real thing on port 443.
func (r *registry) url(name string) string {
	if strings.HasSuffix(name, localDomain) {
		return "https://" + net.JoinHostPort(name, strconv.Itoa(int(r.port)))
	}
	return "https://" + name
}

// service is the handler of a host, made at most once.
func (r *registry) service(v virtual) (http.Handler, error) {
	r.mu.Lock()
	get, ok := r.services[v.name]
	if !ok {
		if len(r.services) >= maxHosts {
			r.mu.Unlock()
			return nil, errors.New("there are too many hosts in this cloud")
		}
		get = sync.OnceValues(func() (http.Handler, error) { return r.build(v) })
		r.services[v.name] = get
	}
	r.mu.Unlock()
	return get()
}

// ServeHTTP chooses the virtual host. The name in the request must be the one
// in the TLS handshake: RFC 9110 section 15.5.20.
func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	v, ok := r.requested(req)
	if !ok {
		http.Error(w, "the emulator has no such host, or not on this connection", http.StatusMisdirectedRequest)
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
