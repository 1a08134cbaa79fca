package access

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Rule of the access section, as the configuration has it.
type Rule struct {
	// Name of the rule, for the log and the audit: [a-z0-9-], 1 to 32 of them.
	Name string
	// UID of the process that opened the unix connection. Nil means any.
	UID *uint32
	// GID is its primary (effective) group; supplementary ones do not count. Nil
	// means any.
	GID *uint32
	// TokenFile is the absolute path of a file with a bearer token, which the
	// request must send. "" means none. What is given of these three must all
	// hold, and one must be given.
	TokenFile string
	// Routes that these callers may use; a single "*" means all. Required.
	Routes []string
	// Keys are the aliases that they may have; a single "*" means all. Empty means none.
	Keys []string
}

// rule is a Rule that has been checked.
type rule struct {
	name     string
	uid, gid *uint32
	token    *tokenFile // nil for a rule without
	routes   grant
	keys     grant
}

// meets reports whether one caller can be identified by both rules.
func (r rule) meets(other rule) bool {
	apart := func(a, b *uint32) bool { return a != nil && b != nil && *a != *b }
	return !apart(r.uid, other.uid) && !apart(r.gid, other.gid)
}

// grant is a list of names, or all.
type grant struct {
	all   bool
	names []string
}

func (g grant) has(name string) bool { return g.all || slices.Contains(g.names, name) }

const (
	maxName   = 32
	nameBytes = "abcdefghijklmnopqrstuvwxyz0123456789-"
)

func parseRule(r Rule, c Config) (rule, error) {
	if r.Name == "" || len(r.Name) > maxName || strings.Trim(r.Name, nameBytes) != "" {
		return rule{}, errors.New("name: it must be 1 to 32 of a-z, 0-9 and -")
	}
	if r.UID == nil && r.GID == nil && r.TokenFile == "" {
		return rule{}, errors.New("uid, gid, token_file: one must say whom the rule is for")
	}
	if err := checkID(r.UID, "/proc/sys/kernel/overflowuid"); err != nil {
		return rule{}, fmt.Errorf("uid: %w", err)
	}
	if err := checkID(r.GID, "/proc/sys/kernel/overflowgid"); err != nil {
		return rule{}, fmt.Errorf("gid: %w", err)
	}
	routes, err := parseGrant(r.Routes, c.Routes)
	if err != nil {
		return rule{}, fmt.Errorf("routes: %w", err)
	}
	if len(r.Routes) == 0 {
		return rule{}, errors.New(`routes: at least one is needed, or "*" for all`)
	}
	keys, err := parseGrant(r.Keys, c.Keys)
	if err != nil {
		return rule{}, fmt.Errorf("keys: %w", err)
	}
	token, err := openToken(r.TokenFile)
	if err != nil {
		return rule{}, fmt.Errorf("token_file: %w", err)
	}
	return rule{name: r.Name, uid: r.UID, gid: r.GID, token: token, routes: routes, keys: keys}, nil
}

// parseGrant holds each name against those that exist: a misspelt one would
// silently allow nothing.
func parseGrant(names, known []string) (grant, error) {
	if slices.Equal(names, []string{"*"}) {
		return grant{all: true}, nil
	}
	for _, name := range names {
		if name == "*" {
			return grant{}, errors.New(`"*" must stand alone`)
		}
		if !slices.Contains(known, name) {
			return grant{}, fmt.Errorf("%q does not exist", name)
		}
	}
	return grant{names: slices.Clone(names)}, nil
}

func openToken(path string) (*tokenFile, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // a rule without a token
	}
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("the path %q is not absolute", path)
	}
	f := &tokenFile{path: path}
	if _, err := f.current(); err != nil {
		return nil, err
	}
	return f, nil
}

// checkID returns an error for ids that do not identify one user.
func checkID(id *uint32, overflow string) error {
	switch {
	case id == nil:
		return nil
	case *id == math.MaxUint32: // (uid_t)-1, credentials(7): a peer without credentials
		return fmt.Errorf("%d stands for no id", *id)
	case *id == overflowID(overflow):
		return fmt.Errorf("%d is what the kernel shows for every id that is not mapped into this user namespace: "+
			"it would let all of them in", *id)
	}
	return nil
}

// overflowID is the number in the file; without it, the kernel's own,
// user_namespaces(7) "Unmapped user and group IDs".
func overflowID(path string) uint32 {
	const usual = 65534
	text, err := os.ReadFile(path) //nolint:gosec // one of two files of the kernel
	if err != nil {
		return usual
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return usual
	}
	return uint32(id)
}

// identifies reports whether the rule matches this caller. Uid and gid count only if
// proven. A token file that cannot be read is an error and matches no caller.
func (r *rule) identifies(c Caller, token *[sha256.Size]byte, proven bool) (bool, error) {
	if r.token != nil {
		if matches, err := r.token.matches(token); !matches || err != nil {
			return false, err
		}
	}
	return r.isPeer(c, proven), nil
}

func (r *rule) isPeer(c Caller, proven bool) bool {
	if r.uid == nil && r.gid == nil {
		return true
	}
	return proven && c.known &&
		(r.uid == nil || *r.uid == c.uid) &&
		(r.gid == nil || *r.gid == c.gid)
}
