// Package claims is a catalogue of the claims in tokens of Microsoft Azure Attestation: their
// names and types, the platforms whose tokens have them, and what they mean.
//
//	claim, known := claims.Lookup("x-ms-isolation-tee.x-ms-sevsnpvm-hostdata")
//	if !known {
//		near, found := claims.Nearest(path) // perhaps what was meant
//		…
//	}
//
// Names are dotted paths through nested objects, as release policies write them. The
// catalogue describes the tokens of the protocol that each platform uses: SevSnpVm for
// container groups and Kata pods, AzureGuest for virtual machines. It does not read or verify
// tokens. Tokens may have other claims: an authority's own policy adds some, and the service
// grows.
package claims

import (
	"slices"
	"strings"
)

// Claim describes one claim.
type Claim struct {
	// Name is the dotted path.
	Name string
	// Kind is the type of the value.
	Kind Kind
	// Digits are the lengths of a Hex value, in digits.
	Digits []int
	// Platforms are those whose tokens may have the claim.
	Platforms []Platform
	// Meaning is one sentence without a full stop.
	Meaning string
	// Values are all values that the claim has in a platform's tokens. A platform without an
	// entry has no fixed set.
	Values map[Platform][]string

	public bool
}

// Kind is the type of a claim's value.
type Kind string

// The kinds of values.
const (
	Text    Kind = "text"
	Hex     Kind = "hex"    // lower case, without 0x
	Base64  Kind = "base64" // standard alphabet, padded
	Integer Kind = "integer"
	Boolean Kind = "boolean"
	Time    Kind = "time" // seconds since 1970
	Object  Kind = "object"
	List    Kind = "list"
	// Free is any JSON that the guest or the authority's policy chooses.
	Free Kind = "free"
)

// On reports whether tokens of the platform may have the claim.
func (c Claim) On(p Platform) bool { return slices.Contains(c.Platforms, p) }

// Lookup returns a claim by its dotted path. It knows every path below a claim that the guest
// or the authority's policy fills, as Free.
func Lookup(path string) (Claim, bool) {
	if i, found := byName[path]; found {
		return catalogue[i], true
	}
	for above := parent(path); above != ""; above = parent(above) {
		if i, found := byName[above]; found && catalogue[i].Kind == Free {
			below := catalogue[i]
			below.Name = path
			return below, true
		}
	}
	return Claim{}, false
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '.'))]
}

// Public reports whether a caller and a log may see the claim's value: whether it is a fact
// about the platform or the deployment. Values that the guest, a caller or the authority's
// policy chooses may be secret and are not public, and neither are unknown claims.
func Public(path string) bool {
	i, found := byName[path]
	return found && catalogue[i].public
}

// All returns the catalogue, sorted by name. The caller must not change it.
func All() []Claim { return catalogue }
