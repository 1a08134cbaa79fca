package inspect

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// policy is a key release policy.
type policy struct{ *releasepolicy.Policy }

func recognisePolicy(in input) (content, error) {
	if !in.has("version", "anyOf") {
		return nil, errOther
	}
	parsed, err := releasepolicy.Parse(in.text)
	if err != nil {
		return nil, err
	}
	return policy{parsed}, nil
}

func (p policy) sections(time.Time) []Section {
	s := Section{Title: "Release policy: any of these authorities, with its conditions"}
	s.add("SHA-256", digest(p.Raw()), "of the text as it stands here")
	sections := []Section{s}
	for _, root := range p.Tree() {
		section := Section{Title: "Authority " + root.Authority}
		section.addConditions(root, "")
		sections = append(sections, section)
	}
	return sections
}

// addConditions numbers nested conditions: "allOf 2.anyOf 1".
func (s *Section) addConditions(n releasepolicy.Condition, prefix string) {
	for i, condition := range n.Conditions {
		path := fmt.Sprintf("%s%s %d", prefix, n.Kind, i+1)
		if condition.Kind != releasepolicy.Claim {
			s.addConditions(condition, path+".")
			continue
		}
		known, _ := claims.Lookup(condition.Claim)
		s.add(path, condition.Claim+" "+string(condition.Operator)+" "+condition.Value.JSON, demanded(condition, known))
	}
}

// encodedPolicy shows the policy that keys and statements hold as base64url.
func encodedPolicy(encoded string) []Section {
	text, ok := decodeBase64([]byte(encoded))
	if !ok {
		s := Section{Title: "Release policy"}
		s.add("size", strconv.Itoa(len(encoded)), "characters that are no base64")
		return []Section{s}
	}
	return policySections(text)
}

func policySections(text []byte) []Section {
	parsed, err := releasepolicy.Parse(text)
	if err != nil {
		s := Section{Title: "Release policy"}
		s.add("error", err.Error(), "")
		return []Section{s}
	}
	return policy{parsed}.sections(time.Time{})
}

// demanded describes what a condition demands. The meaning of a boolean claim in the catalogue
// is what true means.
func demanded(condition releasepolicy.Condition, known claims.Claim) string {
	if known.Kind != claims.Boolean || known.Meaning == "" || condition.Operator != releasepolicy.Equals {
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

// ccePolicy is an execution policy in Rego. The platform puts its SHA-256 into HOST_DATA.
type ccePolicy []byte

// recogniseCCEPolicy recognises Rego by the package that a module begins with, after
// comments ("Policy Language", Open Policy Agent: Modules).
func recogniseCCEPolicy(in input) (content, error) {
	for line := range bytes.Lines(in.text) {
		words := bytes.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) == 2 && string(words[0]) == "package" {
			return ccePolicy(in.raw), nil
		}
		break
	}
	return nil, errOther
}

func (p ccePolicy) sections(time.Time) []Section {
	s := Section{Title: "CCE policy"}
	s.add("size", strconv.Itoa(len(p)), "bytes of Rego")
	s.add("SHA-256", digest(p), "HOST_DATA of a guest that runs under it, x-ms-sevsnpvm-hostdata in policies")
	return []Section{s}
}
