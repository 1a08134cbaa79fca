package inspect

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"skr/internal/operator/lint"
	"skr/internal/strictjson"
)

// keyBundle is a vault's description of a key.
type keyBundle struct {
	strictjson.Object

	text []byte
}

func recogniseKeyBundle(in input) (content, error) {
	if !in.has("key.kid", "key.kty", "attributes") {
		return nil, errOther
	}
	return keyBundle{in.object, in.text}, nil
}

func (k keyBundle) sections(now time.Time) []Section {
	sections := []Section{claimSection("Key bundle", k.Object, now)}
	return append(sections, k.policy()...)
}

// policy shows the key's release policy. Tools write it under different names.
func (k keyBundle) policy() []Section {
	document, err := lint.Open(k.text)
	if err != nil {
		s := Section{Title: "Release policy"}
		s.add("none", err.Error(), "")
		return []Section{s}
	}
	return policySections(document.Text)
}

// keyList is a vault's list of keys (Azure REST API specification, Key Vault
// 7.4, KeyListResult), or the same as az keyvault key list prints it.
type keyList struct {
	items []strictjson.Object
	more  bool
}

func recogniseKeyList(in input) (content, error) {
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

// keyID returns the kid of an item or a key bundle, also in the form that az prints.
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

// describeItem returns whether the key can be used and released.
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
