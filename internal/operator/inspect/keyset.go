package inspect

import (
	"strings"

	"strconv"
	"time"

	"skr/internal/jose/jwk"
	"skr/internal/operator/lint"
	"skr/internal/strictjson"
)

// keySet is a JWKS, alone or with what else runtime data says.
type keySet struct{ strictjson.Object }

func readKeySet(in input) (content, error) {
	list, _ := in.object.Lookup("keys")
	if keys, ok := list.([]any); !in.isObject || !ok || len(keys) == 0 {
		return nil, errOther
	}
	return keySet{in.object}, nil
}

func (k keySet) sections(now time.Time) []Section {
	s := Section{Title: "Keys"}
	for i, member := range k.keys() {
		s.add(strconv.Itoa(i), member.Kid, describeJWK(member))
	}
	return []Section{s, claimSection("Members", k.Object, now)}
}

// keys are none where the set is malformed: its members are shown all the same.
func (k keySet) keys() []jwk.Key {
	set, err := jwk.ParseSet([]byte(textOf(k.Members())))
	if err != nil {
		return nil
	}
	return set.Keys
}

// describeJWK says what kind of key it is and what it is for.
func describeJWK(k jwk.Key) string {
	said := []string{k.Kty}
	if public, err := k.PublicKey(); err == nil {
		said[0] = describeKey(public)
	}
	for _, use := range append([]string{k.Use, k.Alg}, k.KeyOps...) {
		if use != "" {
			said = append(said, use)
		}
	}
	return strings.Join(said, ", ")
}

// keyBundle is what a vault says of a key.
type keyBundle struct {
	strictjson.Object

	text []byte
}

func readKeyBundle(in input) (content, error) {
	if !in.has("key.kid", "key.kty", "attributes") {
		return nil, errOther
	}
	return keyBundle{in.object, in.text}, nil
}

func (k keyBundle) sections(now time.Time) []Section {
	sections := []Section{claimSection("Key bundle", k.Object, now)}
	return append(sections, k.policy()...)
}

// policy is the key's release policy, under whatever name the tool that wrote the file has.
func (k keyBundle) policy() []Section {
	document, err := lint.Open(k.text)
	if err != nil {
		s := Section{Title: "Release policy"}
		s.add("none", err.Error(), "")
		return []Section{s}
	}
	return policySections(document.Text)
}
