package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"skr/keyrelease"
)

// alias is a key under a name of its own, so that applications need not know
// where it is and who attests. In place of one vault or one authority there may be
// several, best first.
type alias struct {
	Vault       string   `json:"vault,omitempty"`
	Vaults      []string `json:"vaults,omitempty"`
	Key         string   `json:"key"`
	Authority   string   `json:"authority,omitempty"`
	Authorities []string `json:"authorities,omitempty"`
}

// maxPlaces bounds the vaults and the authorities of an alias: each pair is one
// more try of a release.
const maxPlaces = 4

var aliasName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// releases are the aliases as requests, which the allow-lists hold for too.
func (p *sidecar) releases(aliases map[string]alias) (map[string]keyrelease.Request, error) {
	requests := make(map[string]keyrelease.Request, len(aliases))
	for name, a := range aliases {
		if !aliasName.MatchString(name) {
			return nil, fmt.Errorf("%q is not a name of letters, digits, dots, hyphens and underscores", name)
		}
		request, err := p.parse(a)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		requests[name] = request
	}
	return requests, nil
}

// parse the names; what the allow-lists refuse is refused here.
func (p *sidecar) parse(a alias) (keyrelease.Request, error) {
	authorities, err := places("authority", "authorities", a.Authority, a.Authorities)
	if err != nil {
		return keyrelease.Request{}, err
	}
	vaults, err := places("vault", "vaults", a.Vault, a.Vaults)
	if err != nil {
		return keyrelease.Request{}, err
	}
	var ways []keyrelease.Request
	for _, pair := range pairs(len(authorities), len(vaults)) {
		way, err := p.way(authorities[pair.authority], vaults[pair.vault], a.Key)
		if err != nil {
			return keyrelease.Request{}, err
		}
		if slices.ContainsFunc(ways, way.Leads) {
			return keyrelease.Request{}, errors.New("a vault or an authority is listed twice")
		}
		ways = append(ways, way)
	}
	return keyrelease.WithFallbacks(ways), nil
}

func (p *sidecar) way(authority, vault, key string) (way keyrelease.Request, err error) {
	if way.Authority, err = p.authorities.Parse(authority); err != nil {
		return way, err
	}
	way.Key, err = p.vaults.Parse(vault, key)
	return way, err
}

// places are the one or the several.
func places(oneName, allName, one string, all []string) ([]string, error) {
	switch {
	case all == nil && one == "":
		return nil, fmt.Errorf("%s is missing: name one, or several as %s", oneName, allName)
	case all == nil:
		return []string{one}, nil
	case one != "":
		return nil, fmt.Errorf("has %s and %s: leave one of them out", oneName, allName)
	case len(all) == 0 || len(all) > maxPlaces:
		return nil, fmt.Errorf("%s must have 1 to %d entries", allName, maxPlaces)
	}
	return all, nil
}

type pair struct{ authority, vault int }

// pairs of authorities and vaults, in the order in which they are tried. Those in
// the same position come first: they are of one region, and regions fail as a whole.
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

func (p *sidecar) find(name string) (keyrelease.Request, error) {
	request, found := p.aliases[name]
	if !found {
		return request, &configError{fmt.Errorf("--alias: the section keys has no %q", name)}
	}
	return request, nil
}
