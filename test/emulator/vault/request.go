package vault

import (
	"encoding/json"
	"slices"
	"strings"

	"skr/internal/jose/jwk"
)

// keyRequest is the body of create, import and update. As in the services,
// member names are case-insensitive: SDKs send both "Hsm" and "hsm".
type keyRequest struct {
	Kty        string            `json:"kty"`
	Crv        string            `json:"crv"`
	KeySize    int               `json:"key_size"`
	Exponent   int               `json:"public_exponent"`
	Operations []string          `json:"key_ops"`
	Attributes attributes        `json:"attributes"`
	Policy     *policyRequest    `json:"release_policy"`
	Tags       map[string]string `json:"tags"`
	HSM        bool              `json:"hsm"`
	Key        json.RawMessage   `json:"key"`
}

type attributes struct {
	Enabled    *bool  `json:"enabled"`
	NotBefore  *int64 `json:"nbf"`
	Expires    *int64 `json:"exp"`
	Exportable *bool  `json:"exportable"`
}

type policyRequest struct {
	ContentType string `json:"contentType"`
	Data        string `json:"data"`
	Immutable   bool   `json:"immutable"`
}

func (r *keyRequest) exportable() bool {
	return r.Attributes.Exportable != nil && *r.Attributes.Exportable
}

// parseBody reads the JSON of a request. The text of the fault is UNCONFIRMED.
func parseBody(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return badParameter("The request body is not valid JSON.")
	}
	return nil
}

// typeRequested checks a requested key type and returns its parts. Managed HSM
// keeps every key in hardware whatever the request says, and only Managed HSM
// has symmetric keys.
func (v *Vault) typeRequested(kty string, hardware bool) (kind string, inHSM bool, err error) {
	kind, suffixed := splitType(kty)
	inHSM = suffixed || hardware || v.managedHSM()
	switch {
	case v.managedHSM() && kty == "":
		return "", false, badParameter("JSON Web Key: kty is missing") // UNCONFIRMED after "missing"
	case !slices.Contains([]string{"RSA", "EC", "oct"}, kind),
		kind == "oct" && !v.managedHSM():
		return "", false, badParameter("Property  has invalid value\r\n")
	case inHSM && v.config.StandardSKU && !v.managedHSM():
		return "", false, forbidden("", "Hardware key operation not allowed on standard vault")
	}
	return kind, inHSM, nil
}

func (v *Vault) generate(r *keyRequest) (material, error) {
	kind, inHSM, err := v.typeRequested(r.Kty, false)
	if err != nil {
		return material{}, err
	}
	switch kind {
	case "EC":
		curve, ok := curveNamed(r.Crv)
		if !ok {
			return material{}, badParameter("Property crv has invalid value\r\n") // UNCONFIRMED
		}
		return generateEC(curve, inHSM)
	case "oct":
		bits, err := sizeRequested(r.KeySize, 256, 128, 192, 256)
		if err != nil {
			return material{}, err
		}
		return generateSecret(bits)
	}
	bits, err := sizeRequested(r.KeySize, 2048, 2048, 3072, 4096)
	if err != nil {
		return material{}, err
	}
	switch r.Exponent {
	case 0, 65537:
		return generateRSA(bits, inHSM)
	case 3:
		return generateRSA3(bits, inHSM)
	}
	return material{}, badParameter("Property public_exponent has invalid value\r\n") // UNCONFIRMED
}

func sizeRequested(bits, preset int, allowed ...int) (int, error) {
	if bits == 0 {
		return preset, nil
	}
	if !slices.Contains(allowed, bits) {
		return 0, badParameter("Property key_size has invalid value\r\n") // UNCONFIRMED
	}
	return bits, nil
}

// imported parses the key of an import and fills in its key_ops.
func (v *Vault) imported(r *keyRequest) (material, error) {
	k, err := jwk.Parse(r.Key)
	if err != nil {
		return material{}, badParameter(`The property "key" must be a valid JsonWebKey object.`)
	}
	kind, inHSM, err := v.typeRequested(k.Kty, r.HSM)
	if err != nil {
		return material{}, err
	}
	if len(r.Operations) == 0 {
		r.Operations = k.KeyOps
	}
	if kind == "oct" {
		return importedSecret(k)
	}
	private, err := k.PrivateKey()
	if err != nil {
		return material{}, badParameter(`The property "key" must be a valid JsonWebKey object.`)
	}
	return material{kind: kind, hardware: inHSM, private: private}, nil
}

func importedSecret(k jwk.Key) (material, error) {
	secret, err := decode64(k.K)
	switch {
	case err != nil || len(secret) == 0:
		return material{}, badParameter("JSON Web Key: k property of oct key is missing") // UNCONFIRMED
	case len(secret) > 64:
		return material{}, badParameter("JSON Web Key: k property of oct key is too large, maximum size is 64")
	}
	return material{kind: "oct", hardware: true, secret: secret}, nil
}

// operationsFor checks key_ops against the list in the REST API specification.
func operationsFor(requested []string, m material) ([]string, error) {
	if len(requested) == 0 {
		return m.defaultOperations(), nil
	}
	known := []string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey", "import", "export", "deriveKey"}
	for _, operation := range requested {
		if !slices.Contains(known, operation) {
			return nil, badParameter("Property key_ops has invalid value %s\r\n", strings.ToValidUTF8(operation, "?")) // UNCONFIRMED
		}
	}
	return requested, nil
}
