package sidecar

import (
	"fmt"
	"maps"
	"slices"

	"skr/internal/config"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/sidecar/access"
	"skr/keyrelease"
)

// releases returns the aliases as requests.
func (p *Parts) releases(aliases map[string]config.Alias) (map[string]keyrelease.Request, error) {
	all, err := p.Names.All(aliases)
	if err != nil {
		return nil, err
	}
	requests := make(map[string]keyrelease.Request, len(all))
	for name, routes := range all {
		requests[name] = request(routes)
	}
	return requests, nil
}

// Parse returns the request for an alias. It returns an error if an allow-list refuses a name.
func (p *Parts) Parse(a config.Alias) (keyrelease.Request, error) {
	routes, err := p.Names.Routes(a)
	if err != nil {
		return keyrelease.Request{}, err
	}
	return request(routes), nil
}

func request(routes config.Routes) keyrelease.Request {
	requests := make([]keyrelease.Request, len(routes.Ways))
	for i, way := range routes.Ways {
		requests[i] = keyrelease.Request{Authority: way.Authority, Key: way.Key}
	}
	return keyrelease.WithFallbacks(requests).OfVersions(routes.Versions)
}

// rights returns what callers may do with the key of each alias.
func rights(aliases map[string]config.Alias) (map[string]keyuse.Rights, error) {
	all := make(map[string]keyuse.Rights, len(aliases))
	for name, a := range aliases {
		rights, err := rightsOf(a)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		all[name] = rights
	}
	return all, nil
}

func rightsOf(a config.Alias) (keyuse.Rights, error) {
	if a.InVault {
		return keyuse.ParseRightsInVault(a.Ops)
	}
	return keyuse.ParseRights(a.Ops, a.SessionKey)
}

// May returns an error if an alias of the request's key does not permit the right. alias is the
// alias that the request is for, or "": then every alias of the key counts.
func (p *Parts) May(right keyuse.Operation, alias string, request keyrelease.Request) error {
	for _, name := range slices.Sorted(maps.Keys(p.Aliases)) {
		if alias != "" && name != alias || !p.Aliases[name].Names(request.Key) {
			continue
		}
		if p.rights[name].InVault() {
			return refusal.Newf(refusal.CallerNotAllowed,
				"the key of alias %q stays in its vault (in_vault); let a running sidecar use it, or remove in_vault", name)
		}
		if p.rights[name].Permit(right) {
			continue
		}
		if right != keyuse.Release {
			return refusal.Newf(refusal.CallerNotAllowed, "the ops of alias %q do not list %s; add it there", name, right)
		}
		return refusal.Newf(refusal.CallerNotAllowed,
			`the key of alias %q stays in the sidecar; use it there, or add "release" to its ops`, name)
	}
	return nil
}

// rules converts the section access. It returns nil if there is no section.
func rules(section []config.AccessRule) []access.Rule {
	if section == nil {
		return nil
	}
	all := make([]access.Rule, len(section))
	for i, r := range section {
		all[i] = access.Rule(r)
	}
	return all
}
