// Package endpoint parses the hosts that a request or a configuration names.
//
// A [Host] is a plain lower-case DNS name with an optional port and nothing
// else, so that the name that was compared with the allow-list is the name
// that is dialled: no userinfo, path, query, IP literal, punycode or empty
// label survives [ParseHost], and upper case becomes lower case. A [Pattern] is an
// allow-list entry.
//
// The package knows no service; attest and hsm say what a host is for.
package endpoint

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"skr/internal/secmem"
)

const (
	maxName  = 253 // RFC 1035 section 2.3.4, without the root dot
	maxLabel = 63  // RFC 1035 section 2.3.4
	httpsURL = "https://"
)

// Host is where an HTTPS service answers. The zero value is no host.
type Host struct {
	name string
	port uint16 // 0 means the default of HTTPS, 443
}

// ParseHost accepts "name" and "name:port" in any case, also after "https://" and
// before a single slash, as people and drop-in clients write it.
func ParseHost(text string) (Host, error) {
	rest, _ := strings.CutPrefix(lower(text), httpsURL)
	if strings.Contains(rest, "://") {
		return Host{}, fmt.Errorf("host %q: only https is spoken", shorten(text))
	}
	host, err := parse(strings.TrimSuffix(rest, "/"))
	if err != nil {
		return Host{}, fmt.Errorf("host %q: %w", shorten(text), err)
	}
	return host, nil
}

// lower changes ASCII letters only: others could become some, as the Kelvin sign does.
func lower(text string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}, text)
}

func parse(text string) (Host, error) {
	name, port, err := splitPort(text)
	if err != nil {
		return Host{}, err
	}
	if err := checkName(name); err != nil {
		return Host{}, err
	}
	return Host{name, port}, nil
}

func splitPort(text string) (string, uint16, error) {
	name, digits, found := strings.Cut(text, ":")
	if !found {
		return name, 0, nil
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 || digits[0] == '0' || digits[0] == '+' {
		return "", 0, errors.New("the port must be a number from 1 to 65535")
	}
	if port == 443 {
		port = 0
	}
	return name, uint16(port), nil
}

func checkName(name string) error {
	if name == "" {
		return errors.New("is empty")
	}
	if len(name) > maxName {
		return fmt.Errorf("is longer than %d characters", maxName)
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return errors.New("must be a DNS name, not an address")
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("has an empty label")
	case len(label) > maxLabel:
		return fmt.Errorf("has a label longer than %d characters", maxLabel)
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("has a label that begins or ends with a hyphen")
	case strings.HasPrefix(label, "xn--"):
		return errors.New("must not be an internationalised name")
	}
	for _, c := range []byte(label) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
		case 'A' <= c && c <= 'Z':
			return errors.New("must be lower case")
		default:
			return fmt.Errorf("must be a bare DNS name with an optional port; %q does not belong there", c)
		}
	}
	return nil
}

// IsBare reports whether the name has one label: "myvault", as people call a vault whose
// host is myvault.vault.azure.net.
func (h Host) IsBare() bool { return h.name != "" && !strings.Contains(h.name, ".") }

// Name is the DNS name without the port.
func (h Host) Name() string { return h.name }

// IsZero reports whether this is the zero Host.
func (h Host) IsZero() bool { return h.name == "" }

// String is the name, with the port where it is not 443.
func (h Host) String() string {
	if h.port == 0 {
		return h.name
	}
	return h.name + ":" + strconv.Itoa(int(h.port))
}

// URL is the https URL of the host, without a trailing slash.
func (h Host) URL() string { return httpsURL + h.String() }

// hostLike is what people write who mean a host, right or wrong.
var hostLike = regexp.MustCompile(`^[A-Za-z0-9.:/*-]*$`)

// shorten hides what may be a token in the place of a host.
func shorten(text string) string {
	if !hostLike.MatchString(text) {
		return "[not repeated]"
	}
	return secmem.Excerpt(text, maxName)
}
