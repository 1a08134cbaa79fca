package keyprovider

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"skr/internal/strictjson"
)

// Annotation is wrapped data with the location of the key that unwraps it.
type Annotation struct {
	// Key is the name of a key, or name/version.
	Key string
	// Vault and Authority are hosts, unchecked.
	Vault, Authority string
	// Wrapped is RSA-OAEP with SHA-256 (RFC 8017 section 7.1), MGF1 with the same
	// hash and no label.
	Wrapped []byte
	// Bits is the size of the RSA key.
	Bits int
}

// wire is the JSON of an annotation. The reference writes the member iv, which RSA-OAEP does not use.
type wire struct {
	Key       string `json:"kid"`
	Wrapped   []byte `json:"wrapped_data"`
	IV        string `json:"iv"`
	WrapType  string `json:"wrap_type"`
	Vault     string `json:"kms_endpoint"`
	Authority string `json:"attester_endpoint"`
}

// wrapTypes maps the values of wrap_type to sizes of keys.
var wrapTypes = map[string]int{"rsa_2048": 2048, "rsa_3072": 3072, "rsa_4096": 4096}

// checkWrapType refuses other algorithms. It does not compare the size, because the reference writes
// rsa_3072 for keys of any size and does not read the member.
func checkWrapType(parsed strictjson.Object) error {
	value, _ := parsed.Lookup("wrap_type")
	kind, isText := value.(string)
	if value == nil || isText && (kind == "" || wrapTypes[strings.ToLower(kind)] != 0) {
		return nil
	}
	return errors.New("member wrap_type is none of rsa_2048, rsa_3072, rsa_4096")
}

// ParseAnnotation parses {"kid","wrapped_data":base64,"iv","wrap_type","kms_endpoint",
// "attester_endpoint"}. It does not check whether the hosts are allowed.
func ParseAnnotation(text []byte) (*Annotation, error) {
	if len(text) > maxInput {
		return nil, fmt.Errorf("is longer than %d bytes", maxInput)
	}
	parsed, err := strictjson.Parse(text)
	if err != nil {
		return nil, err
	}
	a := &Annotation{}
	for member, into := range map[string]*string{
		"kid": &a.Key, "kms_endpoint": &a.Vault, "attester_endpoint": &a.Authority,
	} {
		var ok bool
		if *into, ok = parsed.Text(member); !ok || *into == "" || len(*into) > maxString {
			return nil, fmt.Errorf("member %s is missing, not a string, or too long", member)
		}
	}
	if err := checkWrapType(parsed); err != nil {
		return nil, err
	}
	if a.Wrapped, err = decode(parsed, "wrapped_data", maxData); err != nil {
		return nil, err
	}
	a.Bits = len(a.Wrapped) * 8
	if wrapTypes[fmt.Sprintf("rsa_%d", a.Bits)] == 0 {
		return nil, fmt.Errorf("member wrapped_data has %d bytes; want 256, 384 or 512, for RSA keys of 2048, 3072 or 4096 bits", len(a.Wrapped))
	}
	return a, nil
}

// Version returns the version of the key, or "" if the annotation does not name one.
func (a *Annotation) Version() string {
	_, version, _ := strings.Cut(a.Key, "/")
	return version
}

// Bytes returns the annotation as in an image, before base64.
func (a *Annotation) Bytes() []byte {
	text, _ := json.Marshal(wire{ // strings and bytes cause no error
		Key: a.Key, Wrapped: a.Wrapped, WrapType: fmt.Sprintf("rsa_%d", a.Bits), Vault: a.Vault, Authority: a.Authority,
	})
	return text
}

// ParseFile parses an annotation in base64 or JSON.
func ParseFile(text []byte) (*Annotation, error) {
	trimmed := strings.TrimSpace(string(text))
	if strings.HasPrefix(trimmed, "{") {
		return ParseAnnotation([]byte(trimmed))
	}
	if len(trimmed) > base64.StdEncoding.EncodedLen(maxInput) {
		return nil, fmt.Errorf("is longer than %d bytes", maxInput)
	}
	decoded, err := base64.StdEncoding.DecodeString(trimmed)
	if err != nil {
		return nil, errors.New("is neither base64 nor JSON")
	}
	return ParseAnnotation(decoded)
}

// The form of a key's name (Azure REST API specification, key-name).
const (
	maxName      = 127
	versionBytes = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	nameBytes    = "0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func checkName(name string) error {
	if name == "" || len(name) > maxName || strings.Trim(name, nameBytes) != "" {
		return errors.New("the key's name must be 1 to 127 letters, digits and hyphens")
	}
	return nil
}
