package inspect

import "strings"

// withheld stands for what is never shown.
const withheld = "private part withheld"

// privateMembers of a JWK (RFC 7518 section 6), beside kty.
var privateMembers = map[string]bool{
	"d": true, "p": true, "q": true, "dp": true, "dq": true, "qi": true, "oth": true, "k": true,
}

// isSecret says whether a member of an object is the private part of a key. Names
// are compared as encoding/json compares them, without regard to case.
func isSecret(name string, among map[string]any) bool {
	if !privateMembers[strings.ToLower(name)] {
		return false
	}
	for other := range among {
		if strings.EqualFold(other, "kty") {
			return true
		}
	}
	return false
}
