package lint

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"skr/internal/excerpt"
	"skr/internal/strictjson"
	"skr/internal/strictyaml"
	"skr/internal/textfile"
)

// maxLayers bounds how deep encodings nest.
const maxLayers = 4

// Document is a policy as it was found in a file.
type Document struct {
	// Text of the policy, not parsed yet.
	Text []byte
	// Source is the member of the file that holds the policy; "" for the file itself.
	Source string
	// Immutable reports whether the policy is final in the vault; nil if the file does not say.
	Immutable *bool
}

// Open finds the policy in a file that a tool around the vaults wrote. It reads
//
//   - the policy itself, as JSON, YAML or base64 of both alphabets, also in quotation
//     marks and wrapped in lines;
//   - the policy with its content type: contentType and data (REST API, ARM, Bicep), or
//     encodedPolicy (the SDKs and the Azure CLI), in camel or snake case;
//   - a key that has a policy: as the REST API, az keyvault key show, the SDKs, ARM
//     templates and skrctl key show print it.
//
// Any other file is returned as it is, so that the parser of policies says what is wrong in
// it, and where.
func Open(data []byte) (Document, error) {
	return open(data, maxLayers)
}

func open(text []byte, layers int) (Document, error) {
	text = textfile.UTF8(text)
	trimmed := bytes.TrimSpace(text)
	if layers == 0 || len(trimmed) == 0 {
		return Document{Text: text}, nil
	}
	switch trimmed[0] {
	case '{':
		return openObject(text, text)
	case '"':
		var inner string
		if json.Unmarshal(trimmed, &inner) == nil {
			return open([]byte(inner), layers-1)
		}
	case '[': // a list of one key, as PowerShell writes it
		return openObject(fmt.Appendf(nil, `{"":%s}`, trimmed), text)
	}
	if decoded, ok := decode(string(trimmed)); ok {
		return open(decoded, layers-1)
	}
	return openYAML(text)
}

// openYAML reads what az prints with --output yaml.
func openYAML(text []byte) (Document, error) {
	var members map[string]any
	if strictyaml.Decode(text, &members) != nil || len(members) == 0 {
		return Document{Text: text}, nil //nolint:nilerr // the parser of policies says what is wrong
	}
	converted, err := json.Marshal(members)
	if err != nil {
		return Document{Text: text}, nil //nolint:nilerr // the parser of policies says what is wrong
	}
	return openObject(converted, text)
}

// openObject finds the policy in an object. text is the object in JSON, file the whole file.
func openObject(text, file []byte) (Document, error) {
	parsed, err := strictjson.Parse(text)
	if err != nil {
		return Document{Text: file}, nil //nolint:nilerr // the parser of policies says it better, with the place
	}
	members := parsed.Members()
	if isPolicy(members) {
		return Document{Text: text}, nil
	}
	var s search
	if holdsPolicy(members) {
		s.add("", text, nil)
	} else {
		s.object("", text)
	}
	switch {
	case len(s.found) > 0:
		return s.document()
	case len(s.elsewhere) > 0:
		return Document{}, fmt.Errorf("no member release_policy is in it, but %s looks like a policy: give that by itself",
			excerpt.Of(strings.Join(s.elsewhere, ", ")))
	}
	if reason, found := parsed.Text("policy_error"); found { // skr prints it for a key
		return Document{}, fmt.Errorf("the key's release policy cannot be read: %s", excerpt.Of(reason))
	}
	if isKey(members) {
		return Document{}, errors.New("the key has no release policy")
	}
	return Document{Text: file}, nil
}

// isPolicy reports whether an object is a policy by its members.
func isPolicy(members map[string]any) bool {
	_, conditions := members["anyOf"]
	_, version := members["version"]
	return conditions || version && !isKey(members)
}

func isKey(members map[string]any) bool {
	for name := range members {
		switch fold(name) {
		case "key", "kid", "kty", "attributes", "keyattributes", "releasepolicy", "policyerror":
			return true
		}
	}
	return false
}

// fold returns the same text for contentType, content_type and ContentType.
func fold(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

// decode decodes base64 of both alphabets, with and without padding, wrapped or not.
func decode(text string) ([]byte, bool) {
	text = strings.TrimRight(strings.Join(strings.Fields(text), ""), "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	decoded, err := encoding.Strict().DecodeString(text)
	return decoded, err == nil
}
