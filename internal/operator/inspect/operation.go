package inspect

import (
	"fmt"
	"strconv"
	"time"

	"skr/internal/strictjson"
)

// keyOperation is a vault's answer to encrypt, decrypt, wrap, unwrap, sign and verify
// (Key Vault 7.4, KeyOperationResult and KeyVerifyResult), or the same as az prints it.
type keyOperation struct{ strictjson.Object }

// operationResults are the names of the member with the result: the vault's name, then those of az.
var operationResults = []string{"value", "result", "signature", "isValid"}

func recogniseKeyOperation(in input) (content, error) {
	if !in.isObject || in.has("kty") || in.has("attributes") {
		return nil, errOther
	}
	o := keyOperation{in.object}
	_, result := o.result()
	_, isVerdict := result.(bool)
	_, isText := result.(string)
	if isVerdict && hasOnly(o.Object, "value") || keyID(o.Object) != "" && (isVerdict || isText) {
		return o, nil
	}
	return nil, errOther
}

func (o keyOperation) result() (name string, value any) {
	for _, name := range operationResults {
		if value, found := o.Lookup(name); found {
			return name, value
		}
	}
	return "", nil
}

// sections withhold the result, which is plaintext if the operation was decrypt or unwrap.
func (o keyOperation) sections(time.Time) []Section {
	s := Section{Title: "Result of an operation with a key"}
	if id := keyID(o.Object); id != "" {
		s.add("key", id, "key and version that the vault used")
	}
	if algorithm := textAt(o.Object, "algorithm"); algorithm != "" {
		s.add("algorithm", algorithm, "")
	}
	switch name, result := o.result(); result := result.(type) {
	case bool:
		s.addFlag(name, result, [2]string{"the signature does not verify", "the signature verifies"})
	case string:
		s.add(name, withheldResult, fmt.Sprintf("%s; it may be plaintext or a key", sizeOf(result)))
	}
	return []Section{s}
}

const withheldResult = "withheld"

// sizeOf returns the size of the decoded base64.
func sizeOf(encoded string) string {
	if data, ok := decodeBase64([]byte(encoded)); ok {
		return strconv.Itoa(len(data)) + " bytes"
	}
	return strconv.Itoa(len(encoded)) + " characters"
}
