package keyprovider

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"skr/internal/strictjson"
)

// Annotation says how data is wrapped and where the key is that unwraps it.
type Annotation struct {
	// Key is the name of a key, or name/version.
	Key string
	// Vault and Authority are hosts, as they stand there.
	Vault, Authority string
	// Wrapped is RSA-OAEP with SHA-256 (RFC 8017 section 7.1), MGF1 with the same
	// hash and no label.
	Wrapped []byte
	// Bits of the RSA key.
	Bits int
}

// wire is the annotation's JSON. The reference writes
// the member iv, which has no use: RSA-OAEP has none.
type wire struct {
	Key       string `json:"kid"`
	Wrapped   []byte `json:"wrapped_data"`
	IV        string `json:"iv"`
	WrapType  string `json:"wrap_type"`
	Vault     string `json:"kms_endpoint"`
	Authority string `json:"attester_endpoint"`
}

// wrapTypes by the size of the key.
var wrapTypes = map[string]int{"rsa_2048": 2048, "rsa_3072": 3072, "rsa_4096": 4096}

// checkWrapType refuses data of another algorithm. The size is not compared: the
// reference writes rsa_3072 for a key of any size, and reads nothing.
func checkWrapType(parsed strictjson.Object) error {
	value, _ := parsed.Lookup("wrap_type")
	kind, isText := value.(string)
	if value == nil || isText && (kind == "" || wrapTypes[strings.ToLower(kind)] != 0) {
		return nil
	}
	return errors.New("member wrap_type is none of rsa_2048, rsa_3072, rsa_4096")
}

// ParseAnnotation reads {"kid","wrapped_data":base64,"iv","wrap_type","kms_endpoint",
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
			return nil, fmt.Errorf("member %s is missing, no text, or too long", member)
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
		return nil, fmt.Errorf("member wrapped_data has %d bytes; RSA keys of 2048, 3072 and 4096 bits make 256, 384 and 512", len(a.Wrapped))
	}
	return a, nil
}

// Bytes is the annotation as it stands in an image, but for its base64.
func (a *Annotation) Bytes() []byte {
	text, _ := json.Marshal(wire{ // strings and bytes: no error
		Key: a.Key, Wrapped: a.Wrapped, WrapType: fmt.Sprintf("rsa_%d", a.Bits), Vault: a.Vault, Authority: a.Authority,
	})
	return text
}

// ParseFile reads an annotation as files hold it: base64, or the JSON itself.
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
	maxName   = 127
	nameBytes = "0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func checkName(name string) error {
	if name == "" || len(name) > maxName || strings.Trim(name, nameBytes) != "" {
		return errors.New("the key's name must be 1 to 127 letters, digits and hyphens")
	}
	return nil
}
