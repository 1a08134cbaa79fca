package hsm

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxPolicy bounds a policy in bytes; the largest one in production use
	// that is public has 11 KiB.
	maxPolicy = 200 << 10
	// maxPolicyDepth bounds how deep conditions nest.
	maxPolicyDepth = 32
)

// policyVersions are the versions that the services accept. Managed HSM stores
// each as "1.0.0"; "0.2" stands in policies of the first preview.
var policyVersions = []string{"1.0.0", "1.0", "0.2"}

// ParseReleasePolicy parses a policy strictly: unknown and repeated members,
// empty lists, a list of both kinds, and trailing data are errors. The error
// is a [*PolicyError].
func ParseReleasePolicy(data []byte) (*ReleasePolicy, error) {
	r := newPolicyReader(data)
	if len(data) > maxPolicy {
		return nil, r.errorAt(maxPolicy, "is longer than %d bytes", maxPolicy)
	}
	if at := invalidUTF8(data); at >= 0 {
		return nil, r.errorAt(at, "is not UTF-8")
	}
	policy, err := r.policy()
	if err != nil {
		return nil, err
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	policy.raw = r.data
	policy.number()
	return policy, nil
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func (r *policyReader) policy() (*ReleasePolicy, error) {
	p := new(ReleasePolicy)
	at, err := r.object("the policy", func(name string) (err error) {
		switch name {
		case "version":
			p.version, err = r.version()
		case "anyOf":
			p.authorities, err = list(r, r.authority)
		default:
			err = r.errorHere("a policy has no member %q, only version and anyOf", name)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case p.version == "":
		return nil, r.errorAt(at, "the policy needs a version")
	case p.authorities == nil:
		return nil, r.errorAt(at, "the policy needs anyOf, a list of authorities")
	}
	return p, nil
}

func (r *policyReader) version() (string, error) {
	version, err := r.string("version")
	if err == nil && !slices.Contains(policyVersions, version) {
		err = r.errorHere("the version must be %q", policyVersions[0])
	}
	return version, err
}

func (r *policyReader) authority() (authority, error) {
	var a authority
	named := false
	at, err := r.object("an authority", func(name string) (err error) {
		switch name {
		case "authority":
			named = true
			a.name, err = r.string(name)
		case string(AnyOf), string(AllOf):
			err = r.group(&a.group, name, 1)
		default:
			err = r.errorHere("an authority has no member %q, only authority and either anyOf or allOf", name)
		}
		return err
	})
	a.at = at
	switch {
	case err != nil:
		return a, err
	case !named:
		return a, r.errorAt(at, `the member "authority" is missing`)
	case a.group.conditions == nil:
		return a, r.errorAt(at, "an authority needs either anyOf or allOf")
	}
	return a, nil
}

// group reads the list of a member anyOf or allOf into g, which must be unset.
func (r *policyReader) group(g *group, name string, depth int) error {
	if g.conditions != nil {
		return r.errorHere("anyOf and allOf must not stand side by side")
	}
	if depth > maxPolicyDepth {
		return r.errorHere("conditions are nested deeper than %d", maxPolicyDepth)
	}
	conditions, err := list(r, func() (condition, error) { return r.condition(depth) })
	*g = group{ConditionKind(name), conditions}
	return err
}

func (r *policyReader) condition(depth int) (condition, error) {
	var c condition
	var g group
	named := false
	at, err := r.object("a condition", func(name string) (err error) {
		switch {
		case name == string(Claim):
			named = true
			c.claim, err = r.claim()
		case name == string(AnyOf), name == string(AllOf):
			err = r.group(&g, name, depth+1)
		case Operator(name).known():
			err = r.comparison(&c, Operator(name))
		default:
			err = r.errorHere("a condition has no member %q", name)
		}
		return err
	})
	if err != nil {
		return c, err
	}
	return r.finish(c, g, named, at)
}

// finish checks that the members read make one condition.
func (r *policyReader) finish(c condition, g group, named bool, at int) (condition, error) {
	compares := named || c.operator != ""
	switch {
	case g.conditions != nil && compares:
		return c, r.errorAt(at, "a condition must be a claim or a list, not both")
	case g.conditions != nil:
		return condition{at: at, group: &g}, nil
	case !named:
		return c, r.errorAt(at, "a condition needs a claim, anyOf or allOf")
	case c.operator == "":
		return c, r.errorAt(at, "claim %q needs an operator such as equals", c.claim)
	}
	c.at = at
	return c, nil
}

func (r *policyReader) claim() (string, error) {
	claim, err := r.string("claim")
	if err == nil && slices.Contains(strings.Split(claim, "."), "") {
		err = r.errorHere("claim %q has an empty part", claim)
	}
	return claim, err
}

func (r *policyReader) comparison(c *condition, o Operator) (err error) {
	if c.operator != "" {
		return r.errorHere("%s and %s must not stand side by side", c.operator, o)
	}
	c.operator = o
	c.value, err = r.literal()
	if err == nil && o == Exists && c.value.text != "true" && c.value.text != "false" {
		err = r.errorHere("exists takes true or false")
	}
	return err
}

func (r *policyReader) literal() (literal, error) {
	token, err := r.next()
	if err != nil {
		return literal{}, err
	}
	switch v := token.(type) {
	case string:
		return literal{text: v, json: quote(v)}, nil
	case json.Number:
		return literal{text: canonicalNumber(v.String()), json: v.String()}, nil
	case bool:
		text := strconv.FormatBool(v)
		return literal{text: text, json: text}, nil
	}
	return literal{}, r.errorHere("a value must be a string, a number, true or false")
}
