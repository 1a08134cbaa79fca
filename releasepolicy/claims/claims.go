// Package claims is a catalogue of what the tokens of Microsoft Azure Attestation
// say: the name of each claim, its type, the platforms whose tokens have it, and a
// sentence for people.
//
//	claim, known := claims.Lookup("x-ms-isolation-tee.x-ms-sevsnpvm-hostdata")
//	if !known {
//		near, found := claims.Nearest(path) // what was meant, perhaps
//		…
//	}
//
// Names are dotted paths through nested objects, as release policies write them.
// The catalogue describes the tokens that each platform's own protocol gives:
// SevSnpVm for container groups and Kata pods, AzureGuest for virtual machines. It
// neither reads nor verifies tokens, and a claim that it does not have may still
// exist: an authority's own policy adds claims, and the service grows.
package claims

import (
	"slices"
	"strings"
)

// Claim is what there is to know about one claim.
type Claim struct {
	// Name is the dotted path.
	Name string
	// Kind is the type of the value.
	Kind Kind
	// Digits are the lengths that a Hex value may have, in digits.
	Digits []int
	// Platforms are those whose tokens may have the claim.
	Platforms []Platform
	// Meaning is one sentence, without its full stop.
	Meaning string
	// Values are all that a platform's tokens say here. A platform without an
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
	// Free is chosen by the guest or the authority's policy: any JSON.
	Free Kind = "free"
)

// On says whether tokens of the platform may have the claim.
func (c Claim) On(p Platform) bool { return slices.Contains(c.Platforms, p) }

// Lookup finds a claim by its dotted path. What lies below a claim that the guest
// or the authority's policy fills is found too, as Free.
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

// Public says whether the claim's value may be repeated to a caller and in a log:
// it is a fact about the platform or the deployment. What the guest, a caller or
// the authority's policy chose freely may hold anything and is not public, nor is
// an unknown claim.
func Public(path string) bool {
	i, found := byName[path]
	return found && catalogue[i].public
}

// All is the catalogue, sorted by name. The caller must not change it.
func All() []Claim { return catalogue }
