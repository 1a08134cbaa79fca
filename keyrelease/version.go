package keyrelease

import (
	"slices"

	"skr/hsm"
	"skr/internal/refusal"
)

// OfVersions returns the request of an alias that gives these versions of its key. The
// first of them is released if no other is named.
func (r Request) OfVersions(versions hsm.Versions) Request {
	r.versions = versions
	r.Key = r.Key.AtVersion(versions.List()[0])
	return r
}

// Versions returns the versions that the request's alias gives.
func (r Request) Versions() hsm.Versions { return r.versions }

// At returns the request for one version of the key, or r if version is "". If the alias
// gives the newest version but does not list this one, the newest must be this one:
// [Anywhere] refuses otherwise. At refuses with [refusal.CallerNotAllowed] if the alias
// does not give the version.
func (r Request) At(version string) (Request, error) {
	if version == "" {
		return r, nil
	}
	if err := hsm.CheckVersion(version); err != nil {
		return Request{}, refusal.Because(refusal.BadRequest, err.Error(), err)
	}
	switch {
	case r.versions.Has(version):
		r.Key = r.Key.AtVersion(version)
	case r.versions.Has(""):
		r.Key, r.newest = r.Key.AtVersion(""), version
	default:
		return Request{}, refuseVersion(version)
	}
	return r, nil
}

// Leads returns other as r allows it: other must be one of r's ways, in a version that the
// alias gives.
func (r Request) Leads(other Request) (limited Request, leads bool) {
	version := other.Key.Version()
	if !r.hasWay(other) || version == "" && !r.versions.Has("") {
		return Request{}, false
	}
	at, err := r.At(version)
	if err != nil {
		return Request{}, false
	}
	if version != "" {
		other.Key, other.newest = other.Key.AtVersion(at.Key.Version()), at.newest
	}
	return other, true
}

// Exact reports whether the request needs no newest version to be a certain one.
func (r Request) Exact() bool { return r.newest == "" }

// hasWay reports whether one of the ways has other's authority and key, in any version.
func (r Request) hasWay(other Request) bool {
	for _, way := range r.Ways() {
		if way.Authority == other.Authority && way.Key.AtVersion("") == other.Key.AtVersion("") {
			return true
		}
	}
	return false
}

// Names reports whether one of the ways leads to the key, in any version and by any authority.
func (r Request) Names(key hsm.KeyID) bool {
	return slices.ContainsFunc(r.Ways(), func(way Request) bool { return way.Key.SameKey(key) })
}

// confine returns an error if the released version is not the one that had to be the
// newest.
func (r Request) confine(key *hsm.Key) error {
	if r.newest == "" || key.Version() == r.newest {
		return nil
	}
	return refuseVersion(r.newest)
}

func refuseVersion(version string) error {
	return refusal.Newf(refusal.CallerNotAllowed,
		"the configuration does not give the version %q of this key; add it to the versions of the alias, or write versions: all", version)
}
