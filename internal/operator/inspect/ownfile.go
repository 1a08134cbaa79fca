package inspect

import (
	"encoding/json"
	"strconv"
	"time"

	"skr/internal/strictjson"
	"skr/releasepolicy"
)

// ownFile is a JSON object that skr itself writes, with the meaning of its members.
type ownFile struct {
	title    string
	object   strictjson.Object
	meanings [][2]string // name and meaning, in the order in which they are shown
}

// recogniseAnnotation accepts what `skr wrap` and the key provider write into images.
func recogniseAnnotation(in input) (content, error) {
	if !in.has("kid", "wrapped_data", "kms_endpoint", "attester_endpoint") {
		return nil, errOther
	}
	return ownFile{"Key-provider annotation", in.object, [][2]string{
		{"kid", "the key that unwraps it, as NAME or NAME/VERSION"},
		{"kms_endpoint", "the vault that releases the key"},
		{"attester_endpoint", "the attestation service"},
		{"wrap_type", "the kind of key; data are wrapped by RSA-OAEP with SHA-256"},
		{"wrapped_data", "the wrapped secret; only its size is shown"},
		{"iv", "not used by RSA-OAEP"},
	}}, nil
}

// recogniseKeyInfo accepts NAME-info.json of `skrctl key create`, and the JSON of `skrctl key show`.
func recogniseKeyInfo(in input) (content, error) {
	if !in.has("kid", "kty", "key_ops", "immutable") {
		return nil, errOther
	}
	return ownFile{"Key information", in.object, [][2]string{
		{"kid", "the key with its version"}, {"kty", "the type of the key"}, {"size", "bits of the key"}, {"crv", "the curve"},
		{"key_ops", "what the key may be used for"}, {"enabled", "whether it may be used at all"},
		{"exportable", "whether the vault can release it"}, {"created", "when the key was made"}, {"updated", "when its attributes were changed"},
		{"not_before", "before this the vault only opens with the key, and releases it"},
		{"expires", "after this the vault only opens with the key, and releases it"},
		{"lapse", "why the key was not valid at the time"}, {"tags", "notes beside the key"},
		{"key", "the public half, as a JWK"},
		{"immutable", "whether the release policy can no longer be changed"}, {"authorities", "attestation services that the release policy names"},
		{"policy_sha256", "of the release policy as the vault stores it"}, {"policy_error", "why the release policy cannot be read"},
		{"public_key_path", "the file with the public key"}, {"kms_endpoint", "the vault"}, {"attester_endpoint", "the first attestation service"},
	}}, nil
}

func (f ownFile) sections(now time.Time) []Section {
	s := Section{Title: f.title}
	for _, member := range f.meanings {
		value, found := f.object.Members()[member[0]]
		if !found {
			continue
		}
		text := textOf(value)
		if member[0] == "wrapped_data" {
			text = wrappedSize(text)
		}
		s.add(member[0], text, member[1])
	}
	sections := []Section{s}
	if value, found := f.object.Members()["policy"]; found {
		sections = append(sections, policyOf(value, now)...)
	}
	return sections
}

func wrappedSize(text string) string {
	data, ok := decodeBase64([]byte(text))
	if !ok {
		return "no base64"
	}
	return strconv.Itoa(len(data)) + " bytes"
}

// policyOf shows the release policy of a key without its hash: the text here is formatted
// otherwise than in the vault, and policy_sha256 is the hash of the vault's text.
func policyOf(value any, now time.Time) []Section {
	text, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	parsed, err := releasepolicy.Parse(text)
	if err != nil {
		s := Section{Title: "Release policy"}
		s.add("error", err.Error(), "")
		return []Section{s}
	}
	return policy{parsed}.sections(now)[1:]
}
