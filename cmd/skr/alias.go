package main

import (
	"fmt"
	"regexp"

	"skr/keyrelease"
)

// alias is a key under a name of its own, so that applications need not know
// where it is and who attests.
type alias struct {
	Vault     string `json:"vault"`
	Key       string `json:"key"`
	Authority string `json:"authority"`
}

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
func (p *sidecar) parse(a alias) (request keyrelease.Request, err error) {
	if request.Authority, err = p.authorities.Parse(a.Authority); err != nil {
		return request, err
	}
	request.Key, err = p.vaults.Parse(a.Vault, a.Key)
	return request, err
}

func (p *sidecar) find(name string) (keyrelease.Request, error) {
	request, found := p.aliases[name]
	if !found {
		return request, &configError{fmt.Errorf("--alias: the section keys has no %q", name)}
	}
	return request, nil
}
