package hsm

import (
	"errors"
	"fmt"
	"strings"

	"skr/internal/azure/endpoint"
)

// keysPath stands between a vault's host and a key's name (Azure REST API
// specification, Key Vault 7.4).
const keysPath = "/keys/"

// Names and versions: "Azure Key Vault keys, secrets and certificates
// overview", section "Object identifiers". Versions have 32 lower-case
// hexadecimal digits in all recorded traffic, a form that nothing promises. The
// bounds are above those of the services (127 characters of a name), which refuse
// what is too long for them.
const (
	maxKeyName    = 256
	maxKeyVersion = 64
	maxKeyURL     = 512
)

// KeyID is a key that the operator allows, with the host it is asked from and
// the audience that the host's access tokens have. It is comparable. Without a
// version it means the newest.
type KeyID struct {
	host          endpoint.Host
	name, version string
	audience      string
}

// Host is where the key is.
func (id KeyID) Host() endpoint.Host { return id.host }

// Name is the key's name.
func (id KeyID) Name() string { return id.name }

// Version is the key's version, or "" for the newest.
func (id KeyID) Version() string { return id.version }

// Audience is the resource to ask an access token for. It comes from the
// allow-list and from nowhere else.
func (id KeyID) Audience() string { return id.audience }

// String is the key identifier, https://host/keys/name[/version]; of the zero
// KeyID it is "".
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

// parseLocation reads a key identifier. The vault writes the port only where it
// is not 443, or writes 443, which is the same host.
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

// splitIdentifier takes what people copy in the place of a key's name: its identifier,
// https://host/keys/name/version, and that without the host. vault is "" where the
// identifier names none.
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

// isVersion reports whether a text has the form of all versions that were seen.
func isVersion(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == ""
}

// Advice says what to send in the place of a version that the vault does not know by its
// form; "" if the form is right, or the key has no version.
func (id KeyID) Advice() string {
	if id.version == "" || isVersion(id.version) {
		return ""
	}
	return fmt.Sprintf("; %q does not look like a version, which has 32 hexadecimal digits: send the name %q alone for the newest", id.version, id.name)
}

// covers says whether a location is the key that was asked for; any version of
// it where none was asked for.
func (id KeyID) covers(l keyLocation) bool {
	return l.host == id.host && sameName(l.name, id.name) && (id.version == "" || l.version == id.version)
}

// sameName: names of vault objects do not differ by case
// ("Azure Key Vault keys, secrets and certificates overview", section "Object
// identifiers").
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

// parseKid reads "name" or "name/version". Everything else, such as a path
// that climbs or is percent-encoded, is an error: the text becomes a path.
func parseKid(kid string) (name, version string, err error) {
	name, version, hasVersion := strings.Cut(kid, "/")
	if err := checkKeyName(name); err != nil {
		return "", "", err
	}
	if !hasVersion {
		return name, "", nil
	}
	if version == "" || len(version) > maxKeyVersion || strings.ContainsFunc(version, isNoAlphanumeric) {
		return "", "", fmt.Errorf("the key's version must be 1 to %d letters and digits", maxKeyVersion)
	}
	return name, version, nil
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
