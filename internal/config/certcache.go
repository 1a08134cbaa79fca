package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Variables that lead to THIM, Azure's cache of AMD's certificates. The platform sets
// the first. The manifest of a pod on virtual nodes sets the second to
// [VirtualNodePlaceholder]. Its name is the one in Microsoft's test of the certificate
// cache (microsoft/confidential-sidecar-containers, pull request 251).
const (
	FabricNode      = "Fabric_NodeIPOrFQDN"
	VirtualNodeTHIM = "VN2_THIM_ENDPOINT"
)

// VirtualNodePlaceholder is the value that virtual nodes replace with the URL of THIM
// (microsoft/virtualnodesOnAzureContainerInstances, "THIM Downlevel APIs").
const VirtualNodePlaceholder = "===VIRTUALNODE2.CC.THIM.ENDPOINT==="

const (
	thimPath   = "/metadata/THIM/amd/certification"
	fabricPort = "2377" // of the host's proxy (microsoft/confidential-sidecar-containers, issue 154)
)

// CertificateCache is a place where THIM may be.
type CertificateCache struct {
	// From is the setting or variable that leads there.
	From string
	// URL is the address; "" if Err is set.
	URL string
	// Err says why From gives no address.
	Err error
}

// CertificateCaches returns the places of THIM in the order in which they are asked:
// thim_url alone if it is set. It returns nil if certificate_sources has no thim.
func (s *Settings) CertificateCaches() []CertificateCache {
	switch {
	case !slices.Contains(s.CertificateSources, "thim"):
		return nil
	case s.THIMURL != "":
		return []CertificateCache{{From: "thim_url", URL: s.THIMURL}}
	}
	return append(slices.Clip(s.nodeCaches), CertificateCache{From: "imds_url", URL: s.IMDSURL + thimPath})
}

// nodeCaches returns the places that the environment names. The host may choose the values
// of these variables. They name a host or a URL of THIM, and nothing else.
func nodeCaches(env Environment) (caches []CertificateCache) {
	for _, place := range []struct {
		from  string
		parse func(value string) (string, error)
	}{{FabricNode, fabricURL}, {VirtualNodeTHIM, virtualNodeURL}} {
		if value := strings.TrimSpace(env[place.from]); value != "" {
			address, err := place.parse(value)
			caches = append(caches, CertificateCache{place.from, address, err})
		}
	}
	return caches
}

func fabricURL(node string) (string, error) {
	host, err := hostForm(node)
	if err != nil {
		return "", err
	}
	return "http://" + net.JoinHostPort(host, fabricPort) + thimPath, nil
}

func virtualNodeURL(value string) (string, error) {
	if err := unreplaced(value); err != nil {
		return "", err
	}
	parsed, err := url.Parse(value)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Path != thimPath {
		return "", fmt.Errorf("its value must be http://HOST:PORT%s, as virtual nodes replace %s", thimPath, VirtualNodePlaceholder)
	}
	if parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" {
		return "", errors.New("its URL must not have a user, a query or a fragment")
	}
	if _, err := hostForm(parsed.Hostname()); err != nil {
		return "", err
	}
	if port := parsed.Port(); port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", errors.New("the port of its URL is too large")
		}
	}
	return (&url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: thimPath}).String(), nil
}

var placeholderForm = regexp.MustCompile(`^===VIRTUALNODE2\..*===$`)

// unreplaced returns an error if value is a placeholder of virtual nodes.
func unreplaced(value string) error {
	if !placeholderForm.MatchString(value) {
		return nil
	}
	return errors.New("the placeholder was not replaced: only virtual nodes replace it, and only in a container's env in the manifest")
}

// hostName is a DNS name (RFC 1123 section 2.1). Its last label has a letter, so that no
// resolver takes it for an IP address in another notation.
var hostName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// hostForm returns a host as a URL has it, without brackets.
func hostForm(host string) (string, error) {
	address, err := netip.ParseAddr(host)
	switch {
	case err == nil && address.Zone() == "" && !address.IsUnspecified() && !address.IsMulticast():
		return address.String(), nil
	case err != nil && len(host) <= 253 && hostName.MatchString(host):
		return host, nil
	}
	return "", errors.New("its host is neither the IP address of a machine nor a DNS name")
}
