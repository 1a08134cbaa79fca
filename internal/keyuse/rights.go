package keyuse

import (
	"fmt"
	"slices"
	"strings"
)

// Release is the right to receive the key itself.
const Release Operation = "release"

// Rights are what callers may do with a key. The zero value permits everything but RSA1_5.
type Rights struct {
	// Limits of the operations.
	Limits Limits

	listed  []Operation // nil permits all
	inVault bool
}

// maxSessionKey bounds what RSA1_5 wraps in bytes, also with 2048 bits.
const maxSessionKey = 245

// ParseRights parses the names of operations and "release", in any order. No names permit
// everything. sessionKey is the length in bytes of keys that RSA1_5 opens; 0 refuses RSA1_5.
func ParseRights(names []string, sessionKey int) (Rights, error) {
	if sessionKey < 0 || sessionKey > maxSessionKey {
		return Rights{}, fmt.Errorf("rsa1_5_bytes must be 1 to %d", maxSessionKey)
	}
	r := Rights{Limits: Limits{SessionKey: sessionKey}}
	known := append(Operations(), Release)
	for _, name := range names {
		i := slices.IndexFunc(known, func(op Operation) bool { return strings.EqualFold(string(op), name) })
		switch {
		case i < 0:
			return Rights{}, fmt.Errorf("ops: %q is none of %v", name, known)
		case slices.Contains(r.listed, known[i]):
			return Rights{}, fmt.Errorf("ops: %q is listed twice", name)
		}
		r.listed = append(r.listed, known[i])
	}
	return r, nil
}

// Permit reports whether the right is one of them.
func (r Rights) Permit(right Operation) bool {
	return r.listed == nil || slices.Contains(r.listed, right)
}

// ParseRightsInVault parses the rights of a key that stays in its vault, where nothing releases
// it. No names permit all operations. RSA1_5 is refused: a vault reports a wrong padding.
func ParseRightsInVault(names []string) (Rights, error) {
	r, err := ParseRights(names, 0)
	if err != nil {
		return Rights{}, err
	}
	if slices.Contains(r.listed, Release) {
		return Rights{}, fmt.Errorf("ops: a key that is used in its vault has no %q; remove it, or in_vault", Release)
	}
	if r.listed == nil {
		r.listed = Operations()
	}
	r.inVault = true
	return r, nil
}

// InVault reports whether the vault performs the operations.
func (r Rights) InVault() bool { return r.inVault }
