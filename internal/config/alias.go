package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"skr/attest"
	"skr/hsm"
)

// Alias is a key under a name of its own, so that applications need not know its vault and
// authority. Vaults and Authorities list several, best first, and replace Vault and Authority.
type Alias struct {
	// The vault, by its host name or short name.
	Vault string `json:"vault,omitempty"`
	// Up to 4 vaults, best first, instead of `vault`.
	Vaults []string `json:"vaults,omitempty"`
	// The name of the key, or NAME/VERSION. Required.
	Key string `json:"key"`
	// The authority, by its host name or short name.
	Authority string `json:"authority,omitempty"`
	// Up to 4 authorities, best first, instead of `authority`.
	Authorities []string `json:"authorities,omitempty"`
	// The versions that callers may have: `latest`, `all`, or a list. The default is the newest, or the version in `key`.
	Versions Words `json:"versions,omitempty"`
	// The operations that callers may use the key for, and `release` if they may receive it. The default is everything.
	Ops []string `json:"ops,omitempty"`
	// The length in bytes of the keys that RSA1_5 unwraps. The default, 0, refuses RSA1_5.
	SessionKey int `json:"rsa1_5_bytes,omitempty"`
	// `true` lets the vault perform the operations. The key is not released, and there is no authority.
	InVault bool `json:"in_vault,omitempty"`
}

// Words is a list, or one word in its place.
type Words []string

// UnmarshalJSON accepts a string or a list of strings.
func (w *Words) UnmarshalJSON(text []byte) error {
	var list []string
	if err := unmarshalWords(text, &list); err != nil {
		return errors.New("write versions: latest, versions: all, or a list of versions")
	}
	*w = list
	return nil
}

// maxPlaces limits the vaults and the authorities of an alias. A release tries each pair.
const maxPlaces = 4

var aliasName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Routes are the ways to the key of an alias, best first, and the versions that it gives.
type Routes struct {
	Ways     []Way
	Versions hsm.Versions
}

// Names parses the names in requests and aliases, and checks them against the allow-lists.
type Names struct {
	Authorities *attest.Authorities
	Vaults      *hsm.Vaults
}

// Way is a key in a vault and the authority that attests for it. The authority of a key that is
// used in its vault is zero.
type Way struct {
	Authority attest.Authority
	Key       hsm.KeyID
}

// All returns the routes of each alias.
func (n Names) All(aliases map[string]Alias) (map[string]Routes, error) {
	all := make(map[string]Routes, len(aliases))
	for name, a := range aliases {
		if !aliasName.MatchString(name) {
			return nil, fmt.Errorf("%q is not a name of letters, digits, dots, hyphens and underscores", name)
		}
		routes, err := n.Routes(a)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		all[name] = routes
	}
	return all, nil
}

// Routes returns the routes of one alias. The allow-lists must allow each version in its list.
func (n Names) Routes(a Alias) (routes Routes, err error) {
	if a.Versions == nil {
		if routes.Ways, err = n.ways(a); err == nil {
			routes.Versions = hsm.OnlyVersion(routes.Ways[0].Key.Version())
		}
		return routes, err
	}
	if routes.Versions, err = hsm.ParseVersions(a.Versions); err != nil {
		return routes, err
	}
	for i, version := range routes.Versions.List() {
		ways, err := n.ways(a.at(version))
		switch {
		case err != nil:
			return routes, err
		case ways[0].Key.Version() != version:
			return routes, errors.New("has versions, and a version in key: write the name of the key alone")
		case i == 0:
			routes.Ways = ways
		}
	}
	return routes, nil
}

// at returns the alias of one version of the key, "" for the newest.
func (a Alias) at(version string) Alias {
	if version != "" {
		a.Key = strings.TrimSuffix(a.Key, "/") + "/" + version
	}
	return a
}

func (n Names) ways(a Alias) ([]Way, error) {
	if a.InVault {
		return n.inVault(a)
	}
	authorities, err := places("authority", "authorities", a.Authority, a.Authorities)
	if err != nil {
		return nil, err
	}
	vaults, err := places("vault", "vaults", a.Vault, a.Vaults)
	if err != nil {
		return nil, err
	}
	var ways []Way
	for _, pair := range pairs(len(authorities), len(vaults)) {
		way, err := n.way(authorities[pair.authority], vaults[pair.vault], a.Key)
		if err != nil {
			return nil, err
		}
		if slices.Contains(ways, way) {
			return nil, errors.New("a vault or an authority is listed twice")
		}
		ways = append(ways, way)
	}
	return ways, nil
}

// inVault returns the only way to a key that is used in its vault.
func (n Names) inVault(a Alias) ([]Way, error) {
	switch {
	case a.Authority != "" || a.Authorities != nil:
		return nil, errors.New("has in_vault and an authority: the vault attests nothing for in_vault; remove the authority")
	case a.Vault == "" || a.Vaults != nil:
		return nil, errors.New("has in_vault, which needs one vault: name it as vault")
	case a.SessionKey != 0:
		return nil, errors.New("has in_vault and rsa1_5_bytes: a vault reports a wrong padding of RSA1_5, so it is refused; remove rsa1_5_bytes")
	}
	key, err := n.Vaults.Parse(a.Vault, a.Key)
	return []Way{{Key: key}}, err
}

func (n Names) way(authority, vault, key string) (way Way, err error) {
	if way.Authority, err = n.Authorities.Parse(authority); err != nil {
		return way, err
	}
	way.Key, err = n.Vaults.Parse(vault, key)
	return way, err
}

// places returns one or all, whichever is set.
func places(oneName, allName, one string, all []string) ([]string, error) {
	switch {
	case all == nil && one == "":
		return nil, fmt.Errorf("%s is missing: name one, or several as %s", oneName, allName)
	case all == nil:
		return []string{one}, nil
	case one != "":
		return nil, fmt.Errorf("has %s and %s: use one of them", oneName, allName)
	case len(all) == 0 || len(all) > maxPlaces:
		return nil, fmt.Errorf("%s must have 1 to %d entries", allName, maxPlaces)
	}
	return all, nil
}

type pair struct{ authority, vault int }

// pairs returns pairs of authorities and vaults, in the order to try them. Pairs in the same position
// come first: they are in one region, and a region fails as a whole.
func pairs(authorities, vaults int) []pair {
	var together, crossed []pair
	for a := range authorities {
		for v := range vaults {
			if a == v {
				together = append(together, pair{a, v})
			} else {
				crossed = append(crossed, pair{a, v})
			}
		}
	}
	return append(together, crossed...)
}
