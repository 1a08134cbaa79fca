package hsm

import (
	"errors"
	"fmt"
	"slices"
)

// The words that [ParseVersions] accepts instead of a version.
const (
	newestVersion = "latest"
	everyVersion  = "all"
)

// maxVersions limits a list. Each entry may cost a release.
const maxVersions = 8

// Versions are the versions of a key that an alias gives. The zero value gives the newest
// version only. "" stands for the newest.
type Versions struct {
	listed []string // best first; none means the newest
	all    bool
}

// OnlyVersion returns one version, "" for the newest.
func OnlyVersion(version string) Versions { return Versions{listed: []string{version}} }

// ParseVersions parses the versions of an alias, best first. "latest" stands for the
// newest version, and "all", alone, for every version.
func ParseVersions(words []string) (Versions, error) {
	if slices.Equal(words, []string{everyVersion}) {
		return Versions{all: true}, nil
	}
	if len(words) == 0 || len(words) > maxVersions {
		return Versions{}, fmt.Errorf("versions must have 1 to %d entries", maxVersions)
	}
	var v Versions
	for _, word := range words {
		version, err := parseVersion(word)
		if err != nil {
			return Versions{}, err
		}
		if slices.Contains(v.listed, version) {
			return Versions{}, fmt.Errorf("versions lists %q twice", word)
		}
		v.listed = append(v.listed, version)
	}
	return v, nil
}

func parseVersion(word string) (string, error) {
	switch word {
	case newestVersion:
		return "", nil
	case everyVersion:
		return "", errors.New("versions has all and other entries: write versions: all, or list them")
	}
	if err := CheckVersion(word); err != nil {
		return "", fmt.Errorf("versions: %q is no version of a key; list versions of 32 hexadecimal digits, or write latest or all", word)
	}
	return word, nil
}

// List returns the versions to try, best first. It is the newest alone if all are given.
func (v Versions) List() []string {
	if len(v.listed) == 0 {
		return []string{""}
	}
	return slices.Clone(v.listed)
}

// Has reports whether the alias gives that version.
func (v Versions) Has(version string) bool { return v.all || slices.Contains(v.List(), version) }

// AtVersion returns the key in another version, "" for the newest. It is for versions that
// the allow-list has been asked about, and for every version of a key that is allowed
// without one.
func (id KeyID) AtVersion(version string) KeyID {
	id.version = version
	return id
}

// Version returns the version of a released key.
func (k *Key) Version() string {
	at, err := parseLocation(k.id)
	if err != nil {
		return "" // the statement's identifier was verified: this cannot happen
	}
	return at.version
}
