package emulator

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	clientTimeout = 30 * time.Second
	idleTimeout   = 30 * time.Second
	keyAPIVersion = "7.4"
)

// HTTPClient returns a client that trusts the cloud's CA. It reaches only the
// cloud's hosts, including those that pose as real names.
func (c *Cloud) HTTPClient() *http.Client { return c.client }

func (c *Cloud) newClient() *http.Client {
	return &http.Client{
		Timeout: clientTimeout,
		Transport: &http.Transport{
			DialContext:       c.dial,
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.authority.Pool()},
			IdleConnTimeout:   idleTimeout,
			ForceAttemptHTTP2: true,
		},
	}
}

// dial refuses names that do not belong to this cloud, so that a test cannot
// reach the network by mistake.
func (c *Cloud) dial(ctx context.Context, network, address string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if address != c.imdsHost() && !c.hosts.allowed(strings.ToLower(name)) {
		return nil, fmt.Errorf("emulator: %q is not a host of this cloud", name)
	}
	target := c.tls.address()
	if address == c.imdsHost() {
		target = c.imds.address()
	}
	return new(net.Dialer).DialContext(ctx, network, target)
}

// Host returns the host and port of a service by its short name and domain:
// Host("demo", "vault") is "demo.vault.localhost:8443".
func (c *Cloud) Host(name, service string) string {
	return strings.TrimPrefix(c.hosts.url(name+"."+service+localDomain), "https://")
}

// AttestationHost returns the host of an MAA instance of this cloud. Other
// names work too, for example Host("sharedweu.weu", "attest").
func (c *Cloud) AttestationHost() string { return c.Host("sharedeus.eus", "attest") }

// LoginHost returns the host that stands in for login.microsoftonline.com.
func (c *Cloud) LoginHost() string { return strings.TrimPrefix(c.hosts.url(loginLocal), "https://") }

// IMDSURL returns the URL of IMDS, in place of http://169.254.169.254.
func (c *Cloud) IMDSURL() string { return "http://" + c.imdsHost() }

// imdsHost returns the address of IMDS. If it listens on every address of a container, that is the
// container's name, which the network's DNS knows.
func (c *Cloud) imdsHost() string {
	address := c.imds.address()
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || !parsed.Addr().IsUnspecified() {
		return address
	}
	name, err := os.Hostname()
	if err != nil {
		return address
	}
	return net.JoinHostPort(name, strconv.Itoa(int(parsed.Port())))
}

// KDSURL returns the URL of AMD's KDS, in place of https://kdsintf.amd.com.
func (c *Cloud) KDSURL() string { return c.hosts.url(kdsLocal) }

// AzureCacheURL returns the URL of Azure's certificate cache, in place of
// https://global.acccache.azure.net.
func (c *Cloud) AzureCacheURL() string { return c.hosts.url(azureCacheLocal) + azureCachePath }

func (c *Cloud) path(name string) string { return filepath.Join(c.config.Dir, name) }

// vaultHost finds a vault by its host, with or without the port.
func (c *Cloud) vaultHost(text string) (virtual, error) {
	name := text
	if host, _, err := net.SplitHostPort(text); err == nil {
		name = host
	}
	v, ok := c.hosts.find(strings.ToLower(name))
	if !ok || !slices.Contains([]kind{kindVault, kindHSM}, v.kind) {
		return virtual{}, fmt.Errorf("emulator: %q is not a vault of this cloud", text)
	}
	return v, nil
}

// AddVault creates the vault of a host ("demo.vault.localhost") before its
// first request, so that the request does not wait for key generation.
func (c *Cloud) AddVault(host string) error {
	v, err := c.vaultHost(host)
	if err != nil {
		return err
	}
	_, err = c.hosts.service(v)
	return err
}

// KeySpec describes a key to create.
type KeySpec struct {
	// Name is the key's name.
	Name string
	// Kty is the key type, as Key Vault names it; "" means RSA-HSM.
	Kty string
	// Size is the size in bits of RSA and oct keys; 0 means the vault's
	// default.
	Size int
	// Curve is the curve of EC keys: P-256, P-256K, P-384, P-521.
	Curve string
	// Attributes are additional attributes in wire form: "enabled", and "nbf"
	// and "exp" in seconds since 1970.
	Attributes map[string]any
}

// CreateKey creates an exportable key with a release policy (JSON) through the
// vault's HTTP API and returns its versioned id. Without a policy the key is
// not exportable.
func (c *Cloud) CreateKey(ctx context.Context, vaultHost string, spec KeySpec, policy []byte) (string, error) {
	v, err := c.vaultHost(vaultHost)
	if err != nil {
		return "", err
	}
	body, err := spec.encode(policy)
	if err != nil {
		return "", err
	}
	url := c.hosts.url(v.name) + "/keys/" + spec.Name + "/create?api-version=" + keyAPIVersion
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	token, err := c.tokenFor(vaultHost, c.administrator)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	return c.sendCreate(request)
}

// encode returns the request body: Azure REST API specification, Key Vault,
// KeyCreateParameters.
func (s KeySpec) encode(policy []byte) ([]byte, error) {
	attributes := map[string]any{"exportable": policy != nil}
	maps.Copy(attributes, s.Attributes)
	wire := map[string]any{"kty": s.Kty, "attributes": attributes}
	if policy != nil {
		wire["release_policy"] = map[string]any{
			"contentType": "application/json; charset=utf-8",
			"data":        base64.RawURLEncoding.EncodeToString(policy),
		}
	}
	if s.Kty == "" {
		wire["kty"] = "RSA-HSM"
	}
	if s.Size != 0 {
		wire["key_size"] = s.Size
	}
	if s.Curve != "" {
		wire["crv"] = s.Curve
	}
	return json.Marshal(wire)
}

func (c *Cloud) sendCreate(request *http.Request) (string, error) {
	response, err := c.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("emulator: creating a key: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument))
	if err != nil {
		return "", fmt.Errorf("emulator: creating a key: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("emulator: creating a key: the vault answered %d: %s", response.StatusCode, body)
	}
	var bundle struct {
		Key struct {
			Kid string `json:"kid"`
		} `json:"key"`
	}
	if err := json.Unmarshal(body, &bundle); err != nil {
		return "", fmt.Errorf("emulator: creating a key: %w", err)
	}
	return bundle.Key.Kid, nil
}
