package hsm

import (
	"errors"
	"fmt"
	"strings"

	"skr/internal/azure/endpoint"
)

// keysPath separates a vault's host and a key's name (Azure REST API
// specification, Key Vault 7.4).
const keysPath = "/keys/"

// Names and versions: "Azure Key Vault keys, secrets and certificates
// overview", section "Object identifiers". Versions have 32 lower-case
// hexadecimal digits in all recorded traffic, which no document guarantees. The bounds
// are larger than those of the services (127 characters of a name), which refuse longer
// ones.
const (
	maxKeyName    = 256
	maxKeyVersion = 64
	maxKeyURL     = 512
)

// KeyID is a key that the operator allows, with its host and the audience of the host's
// access tokens. It is comparable. Without a version it means the newest.
type KeyID struct {
	host          endpoint.Host
	name, version string
	audience      string
}

// Host returns the vault's host.
func (id KeyID) Host() endpoint.Host { return id.host }

// Name returns the key's name.
func (id KeyID) Name() string { return id.name }

// Version returns the key's version, or "" for the newest.
func (id KeyID) Version() string { return id.version }

// Audience returns the resource that access tokens are requested for. It comes only from
// the allow-list.
func (id KeyID) Audience() string { return id.audience }

// String returns the key identifier, https://host/keys/name[/version], or "" for the zero
// KeyID.
func (id KeyID) String() string {
	if id == (KeyID{}) {
		return ""
	}
	return keyURL(id.host, id.name, id.version)
}

func keyURL(host endpoint.Host, name, version string) string {
	text := host.URL() + keysPath + name
	if version != "" {
		text += "/" + version
	}
	return text
}

// keyLocation is a key identifier that a vault wrote.
type keyLocation struct {
	host          endpoint.Host
	name, version string
}

func (l keyLocation) String() string { return keyURL(l.host, l.name, l.version) }

// parseLocation parses a key identifier. A vault may write or omit port 443, which is the
// same host.
func parseLocation(text string) (keyLocation, error) {
	if len(text) > maxKeyURL {
		return keyLocation{}, errors.New("the key identifier is too long")
	}
	hostText, kid, found := strings.Cut(text, keysPath)
	if !found || !strings.HasPrefix(hostText, "https://") {
		return keyLocation{}, fmt.Errorf("%q is not a key identifier", text)
	}
	host, err := endpoint.ParseHost(hostText)
	if err != nil {
		return keyLocation{}, err
	}
	name, version, err := parseKid(kid)
	return keyLocation{host, name, version}, err
}

// splitIdentifier accepts what people copy instead of a key's name: its identifier,
// https://host/keys/name/version, with or without the host. vault is "" without one.
func splitIdentifier(kid string) (name, vault string) {
	if name, found := strings.CutPrefix(strings.TrimPrefix(kid, "/"), strings.TrimPrefix(keysPath, "/")); found {
		if isVersion(strings.TrimSuffix(name, "/")) {
			return kid, "" // "keys" is a name that a key may have
		}
		return name, ""
	}
	if vault, name, found := strings.Cut(kid, keysPath); found {
		return name, vault
	}
	return kid, ""
}

// isVersion reports whether a text has the form of all versions in recorded traffic.
func isVersion(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == ""
}

// Advice returns what to send instead of a version that has an unusual form. It is "" if
// the form is usual or the key has no version.
func (id KeyID) Advice() string {
	if id.version == "" || isVersion(id.version) {
		return ""
	}
	return fmt.Sprintf("; %q does not look like a version, which has 32 hexadecimal digits: send the name %q alone for the newest", id.version, id.name)
}

// SameKey reports whether both are versions of one key.
func (id KeyID) SameKey(other KeyID) bool {
	return id.host == other.host && sameName(id.name, other.name)
}

// covers reports whether a location is this key. Without a version, any version of the key
// matches.
func (id KeyID) covers(l keyLocation) bool {
	return l.host == id.host && sameName(l.name, id.name) && (id.version == "" || l.version == id.version)
}

// sameName compares the names of vault objects, which are not case-sensitive
// ("Azure Key Vault keys, secrets and certificates overview", section "Object
// identifiers").
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

// parseKid parses "name" or "name/version". The text becomes a path, so everything else is
// an error, such as ".." or percent-encoding.
func parseKid(kid string) (name, version string, err error) {
	name, version, hasVersion := strings.Cut(kid, "/")
	if err := checkKeyName(name); err != nil {
		return "", "", err
	}
	if !hasVersion {
		return name, "", nil
	}
	return name, version, CheckVersion(version)
}

// CheckVersion returns an error if the text cannot be a version of a key.
func CheckVersion(text string) error {
	if text == "" || len(text) > maxKeyVersion || strings.ContainsFunc(text, isNoAlphanumeric) {
		return fmt.Errorf("the key's version must be 1 to %d letters and digits", maxKeyVersion)
	}
	return nil
}

func isNoAlphanumeric(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
}

func checkKeyName(name string) error {
	if name == "" || len(name) > maxKeyName {
		return fmt.Errorf("the key's name must have 1 to %d characters", maxKeyName)
	}
	for _, c := range name {
		if c != '-' && isNoAlphanumeric(c) {
			return fmt.Errorf("the key's name must be letters, digits and hyphens; %q does not belong there", c)
		}
	}
	return nil
}
