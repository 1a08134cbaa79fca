package server

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/sidecar/access"
	"skr/keyrelease"
)

// permit returns the release as the ops of the aliases permit it. A key that an alias restricts
// is restricted by whatever names it is requested, unless another alias of this caller permits
// the right and gives the requested version.
func (s *Server) permit(ctx context.Context, d demand, asked keyrelease.Request) (keyrelease.Request, error) {
	if d.Alias != "" {
		return asked, permitBy(d.Alias, s.config.Rights[d.Alias], d.right)
	}
	var refused error
	limited, permitted := asked, false
	for _, alias := range slices.Sorted(maps.Keys(s.config.Aliases)) {
		known := s.config.Aliases[alias]
		if !known.Names(asked.Key) {
			continue
		}
		if err := permitRelease(alias, s.config.Rights[alias], d.right); err != nil {
			refused = cmp.Or(refused, err)
			continue
		}
		as, leads := known.Leads(asked)
		switch {
		case !leads || s.config.Access.MayHave(access.From(ctx), alias) != nil:
		case as.Exact():
			return asked, nil
		case d.annotated:
			limited, permitted = as, true
		}
	}
	if refused == nil {
		return asked, nil
	}
	if permitted {
		return limited, nil
	}
	return asked, refused
}

// permitRelease is permitBy for a key that is released, to the caller or to the key provider.
func permitRelease(alias string, rights keyuse.Rights, right keyuse.Operation) error {
	if rights.InVault() {
		right = keyuse.Release
	}
	return permitBy(alias, rights, right)
}

func permitBy(alias string, rights keyuse.Rights, right keyuse.Operation) error {
	if right == public || rights.Permit(right) {
		return nil
	}
	if right == keyuse.Release && rights.InVault() {
		return refusal.Newf(refusal.CallerNotAllowed, "the key of alias %q stays in its vault (in_vault); use it there, by /key/decrypt, /key/sign "+
			"and so on", alias)
	}
	if right == keyuse.Release {
		return refusal.Newf(refusal.CallerNotAllowed, "the key of alias %q stays in the sidecar; use it there, by /key/decrypt, /key/sign "+
			`and so on, or add "release" to its ops`, alias)
	}
	return refusal.Newf(refusal.CallerNotAllowed, "the ops of alias %q do not list %s; add it there", alias, right)
}

// mayAttest checks runtime data against the access policy. If a key stays in the sidecar, no
// caller may have a key pair of its own attested, because a vault would release the key to it.
func (s *Server) mayAttest(ctx context.Context, data []byte) error {
	if len(data) > access.MaxBound && s.keepsKeys() {
		return refusal.Newf(refusal.CallerNotAllowed, "at most %d bytes are attested, because more could hold a key that a vault wraps to, "+
			`and an alias has ops without "release"; send a hash of what you mean`, access.MaxBound)
	}
	return s.config.Access.MayAttest(access.From(ctx), data)
}

// keepsKeys reports whether the key of an alias stays in the sidecar.
func (s *Server) keepsKeys() bool {
	for _, rights := range s.config.Rights {
		if !rights.Permit(keyuse.Release) {
			return true
		}
	}
	return false
}
