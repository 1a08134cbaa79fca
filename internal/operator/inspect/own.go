package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"skr/hsm"
	"skr/internal/claims"
	"skr/internal/strictjson"
)

// ownFile is a JSON object that skr itself writes, with the meaning of its members.
type ownFile struct {
	title    string
	object   strictjson.Object
	meanings [][2]string // name and meaning, in the order in which they are shown
}

// readAnnotation takes what `skr wrap` and the key provider write into images.
func readAnnotation(in input) (content, error) {
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

// readKeyInfo takes NAME-info.json of `skrctl key create`, and the JSON of `skrctl key show`.
func readKeyInfo(in input) (content, error) {
	if !in.has("kid", "kty", "key_ops", "immutable") {
		return nil, errOther
	}
	return ownFile{"Key information", in.object, [][2]string{
		{"kid", "the key with its version"}, {"kty", "the type of the key"}, {"size", "bits of the key"}, {"crv", "the curve"},
		{"key_ops", "what the key may be used for"}, {"enabled", "whether it may be used at all"},
		{"exportable", "whether the vault can release it"}, {"created", "when the key was made"}, {"updated", "when its attributes were changed"},
		{"not_before", "the key is not to be used before this"}, {"expires", "the key is not to be used after this"}, {"tags", "notes beside the key"},
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

// policyOf shows the release policy of a key. Its hash would be that of the text as it is
// written here, and policy_sha256 has the vault's.
func policyOf(value any, now time.Time) []Section {
	text, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	parsed, err := hsm.ParseReleasePolicy(text)
	if err != nil {
		s := Section{Title: "Release policy"}
		s.add("error", err.Error(), "")
		return []Section{s}
	}
	return policy{parsed}.sections(now)[1:]
}

// maxRecords bounds the records that are shown one by one, the last of the file.
const maxRecords = 100

// auditFile is a file of audit records. Their hashes are for `skrctl audit verify`.
type auditFile struct{ records []strictjson.Object }

func readAuditFile(in input) (content, error) {
	if !bytes.HasPrefix(in.text, []byte(`{"seq":`)) {
		return nil, errOther
	}
	var file auditFile
	for n, line := range bytes.Split(in.text, []byte("\n")) {
		record, err := strictjson.Parse(bytes.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w; see `skrctl audit verify`", n+1, err)
		}
		if _, ok := record.Text("hash"); !ok {
			return nil, errOther
		}
		file.records = append(file.records, record)
	}
	return file, nil
}

func (f auditFile) sections(time.Time) []Section {
	count := func(is func(result string) bool) string {
		n := 0
		for _, record := range f.records {
			if result, found := record.Text("result"); found && is(result) {
				n++
			}
		}
		return strconv.Itoa(n)
	}
	s := Section{Title: "Audit records, not verified"}
	s.add("records", strconv.Itoa(len(f.records)), "`skrctl audit verify` tells whether they are as skr wrote them")
	s.add("released", count(func(result string) bool { return result == "released" }), "")
	s.add("refused", count(func(result string) bool { return result != "released" }), "")
	last, _ := f.records[len(f.records)-1].Text("hash")
	s.add("head", last, "hash of the last record, to be kept elsewhere")
	shown := Section{Title: "Records"}
	for _, record := range f.records[max(0, len(f.records)-maxRecords):] {
		shown.add(member(record, "seq"), member(record, "time")+" "+member(record, "kind"), recordText(record))
	}
	return []Section{s, shown}
}

func member(record strictjson.Object, name string) string {
	value, found := record.Lookup(name)
	if !found {
		return ""
	}
	return textOf(value)
}

// recordText is what a record says beside its number, time and kind.
func recordText(record strictjson.Object) string {
	var parts []string
	for _, name := range []string{"version", "result", "key", "authority", "caller", "withheld", "torn_bytes"} {
		if text := member(record, name); text != "" {
			parts = append(parts, name+" "+text)
		}
	}
	return strings.Join(slices.Clip(parts), ", ")
}

// demanded describes a condition of a policy by what it demands: the meaning of a claim is
// that of true.
func demanded(condition hsm.Node, known claims.Claim) string {
	if known.Kind != claims.Boolean || known.Meaning == "" || condition.Operator != hsm.Equals {
		return known.Meaning
	}
	switch strings.ToLower(strings.Trim(condition.Value.JSON, `"`)) {
	case "false":
		return "demands that it is not so that " + known.Meaning
	case "true":
		return "demands that " + known.Meaning
	}
	return known.Meaning
}
