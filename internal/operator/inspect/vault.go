package inspect

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"skr/internal/strictjson"
)

// keyList is what a vault has for several keys (Azure REST API specification, Key Vault
// 7.4, KeyListResult), or the same as az keyvault key list prints it.
type keyList struct {
	items []strictjson.Object
	more  bool
}

func readKeyList(in input) (content, error) {
	listed := in.object
	switch {
	case in.isObject:
		if _, more := listed.Lookup("nextLink"); !more && !hasOnly(listed, "value") {
			return nil, errOther
		}
	case bytes.HasPrefix(in.text, []byte("[")) && bytes.Contains(in.text, []byte(`"kid"`)):
		var err error
		if listed, err = strictjson.Parse(slices.Concat([]byte(`{"value":`), in.text, []byte("}"))); err != nil {
			return nil, errOther
		}
	default:
		return nil, errOther
	}
	value, _ := listed.Lookup("value")
	values, is := value.([]any)
	if !is {
		return nil, errOther
	}
	if _, paged := listed.Lookup("nextLink"); len(values) == 0 && !paged {
		return nil, errOther
	}
	next, _ := listed.Text("nextLink")
	return newKeyList(values, next != "")
}

func newKeyList(values []any, more bool) (content, error) {
	list := keyList{more: more}
	for _, value := range values {
		item, err := strictjson.Parse([]byte(textOf(value)))
		if err != nil || keyID(item) == "" {
			return nil, errOther
		}
		if _, found := item.Lookup("attributes"); !found {
			return nil, errOther
		}
		list.items = append(list.items, item)
	}
	return list, nil
}

func hasOnly(o strictjson.Object, name string) bool {
	_, found := o.Lookup(name)
	return found && len(o.Members()) == 1
}

// keyID is the kid of an item, of a key bundle, or as az prints either.
func keyID(o strictjson.Object) string {
	for _, path := range []string{"kid", "key.kid", "keyId"} {
		if id, _ := o.Text(path); id != "" {
			return id
		}
	}
	return ""
}

func (k keyList) sections(time.Time) []Section {
	s := Section{Title: "Keys of a vault"}
	for i, item := range k.items {
		if i == maxLeaves {
			s.add("…", strconv.Itoa(len(k.items)-i), "further keys, which are not shown")
			break
		}
		s.add(strconv.Itoa(i), keyID(item), describeItem(item))
	}
	if len(k.items) == 0 {
		s.add("keys", "none", "")
	}
	if k.more {
		s.add("nextLink", "present", "the vault has more keys than this page")
	}
	return []Section{s}
}

// describeItem says whether the key can be used and released.
func describeItem(item strictjson.Object) string {
	said := []string{"enabled"}
	if enabled, found := item.Lookup("attributes.enabled"); found && enabled == false {
		said[0] = "disabled"
	}
	if exportable, _ := item.Lookup("attributes.exportable"); exportable == true {
		said = append(said, "exportable")
	}
	return strings.Join(said, ", ")
}

// keyOperation is what a vault answers to encrypt, decrypt, wrap, unwrap, sign and verify
// (Key Vault 7.4, KeyOperationResult and KeyVerifyResult), or the same as az prints it.
type keyOperation struct{ strictjson.Object }

// operationResults are members with the result: that of the vault, then those of az.
var operationResults = []string{"value", "result", "signature", "isValid"}

func readKeyOperation(in input) (content, error) {
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

// sections withhold the result, which is the plaintext where the operation was to decrypt
// or unwrap.
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

// sizeOf is the size of what base64 holds.
func sizeOf(encoded string) string {
	if data, ok := decodeBase64([]byte(encoded)); ok {
		return strconv.Itoa(len(data)) + " bytes"
	}
	return strconv.Itoa(len(encoded)) + " characters"
}
