package endpoint

import (
	"fmt"
	"strings"
)

const anyLabels = "*."

// Pattern is an entry of an allow-list: a host, or "*." and a host, where the
// star stands for one or more whole labels. The port must be equal.
type Pattern struct {
	host Host
	wild bool
}

// ParsePattern accepts "name[:port]" and "*.name[:port]".
func ParsePattern(text string) (Pattern, error) {
	rest, wild := strings.CutPrefix(text, anyLabels)
	host, err := parse(rest)
	if err != nil {
		return Pattern{}, fmt.Errorf("host pattern %q: %w", shorten(text), err)
	}
	if wild && !strings.Contains(host.name, ".") {
		return Pattern{}, fmt.Errorf("host pattern %q: a star must stand before at least two labels", shorten(text))
	}
	return Pattern{host, wild}, nil
}

// Matches reports whether the pattern allows the host.
func (p Pattern) Matches(h Host) bool {
	if h.port != p.host.port {
		return false
	}
	if p.wild {
		return strings.HasSuffix(h.name, "."+p.host.name)
	}
	return h.name == p.host.name
}

// Parent is the host behind the star, or the host without its first label: the
// service that the host belongs to ("vault.azure.net" for
// "*.vault.azure.net" and for "mine.vault.azure.net").
func (p Pattern) Parent() Host {
	if p.wild {
		return p.host
	}
	if _, rest, found := strings.Cut(p.host.name, "."); found {
		return Host{rest, p.host.port}
	}
	return p.host
}

// String is the pattern as it is written in a configuration.
func (p Pattern) String() string {
	if p.wild {
		return anyLabels + p.host.String()
	}
	return p.host.String()
}
