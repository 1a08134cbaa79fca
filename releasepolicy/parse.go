package releasepolicy

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxPolicy bounds a policy in bytes. The largest public policy in production use has
	// 11 KiB.
	maxPolicy = 200 << 10
	// maxDepth bounds how deep conditions nest.
	maxDepth = 32
)

// versions are the versions that the services accept. Managed HSM stores each as "1.0.0";
// policies of the first preview have "0.2".
var versions = []string{"1.0.0", "1.0", "0.2"}

// Parse parses a policy strictly: unknown and repeated members, empty lists, a list of both
// kinds, and trailing data are errors. Its errors are of type [*ParseError].
func Parse(data []byte) (*Policy, error) {
	r := newReader(data)
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
	policy.plan = planFor(policy.roots)
	return policy, nil
}

// New makes a policy of the authorities, each with its conditions. [Policy.Raw] of the
// result is indented for people.
func New(authorities ...Condition) (*Policy, error) {
	return Parse(format(versions[0], authorities))
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

func (r *reader) policy() (*Policy, error) {
	p := new(Policy)
	begin, err := r.object("the policy", func(name string) (err error) {
		switch name {
		case "version":
			p.version, err = r.version()
		case "anyOf":
			p.roots, err = list(r, r.authority)
		default:
			err = r.errorHere("a policy has no member %q, only version and anyOf", name)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case p.version == "":
		return nil, begin.errorf("the policy needs a version")
	case p.roots == nil:
		return nil, begin.errorf("the policy needs anyOf, a list of authorities")
	}
	return p, nil
}

func (r *reader) version() (string, error) {
	version, err := r.string("version")
	if err == nil && !slices.Contains(versions, version) {
		err = r.errorHere("the version must be %q", versions[0])
	}
	return version, err
}

func (r *reader) authority() (Condition, error) {
	var a Condition
	named := false
	begin, err := r.object("an authority", func(name string) (err error) {
		switch name {
		case "authority":
			named = true
			a.Authority, err = r.string(name)
		case string(AnyOf), string(AllOf):
			err = r.group(&a, name, 1)
		default:
			err = r.errorHere("an authority has no member %q, only authority and either anyOf or allOf", name)
		}
		return err
	})
	a.Line, a.Column = begin.line, begin.column
	switch {
	case err != nil:
		return a, err
	case !named:
		return a, begin.errorf(`the member "authority" is missing`)
	case a.Conditions == nil:
		return a, begin.errorf("an authority needs either anyOf or allOf")
	}
	return a, nil
}

// group reads the list of a member anyOf or allOf into c, which must have none yet.
func (r *reader) group(c *Condition, name string, depth int) (err error) {
	if c.Conditions != nil {
		return r.errorHere("anyOf and allOf must not stand side by side")
	}
	if depth > maxDepth {
		return r.errorHere("conditions are nested deeper than %d", maxDepth)
	}
	c.Kind = Kind(name)
	c.Conditions, err = list(r, func() (Condition, error) { return r.condition(depth) })
	return err
}

func (r *reader) condition(depth int) (Condition, error) {
	var c Condition
	named := false
	begin, err := r.object("a condition", func(name string) (err error) {
		switch {
		case name == string(Claim):
			named = true
			c.Claim, err = r.claim()
		case name == string(AnyOf), name == string(AllOf):
			err = r.group(&c, name, depth+1)
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
	c.Line, c.Column = begin.line, begin.column
	return complete(c, named, begin)
}

// complete checks that the members of an object make one condition.
func complete(c Condition, named bool, begin place) (Condition, error) {
	grouped, compares := c.Conditions != nil, named || c.Operator != ""
	switch {
	case grouped && compares:
		return c, begin.errorf("a condition must be a claim or a list, not both")
	case grouped:
		return c, nil
	case !named:
		return c, begin.errorf("a condition needs a claim, anyOf or allOf")
	case c.Operator == "":
		return c, begin.errorf("claim %q needs an operator such as equals", c.Claim)
	}
	c.Kind = Claim
	return c, nil
}

func (r *reader) claim() (string, error) {
	claim, err := r.string("claim")
	if err == nil && slices.Contains(strings.Split(claim, "."), "") {
		err = r.errorHere("claim %q has an empty part", claim)
	}
	return claim, err
}

func (r *reader) comparison(c *Condition, o Operator) (err error) {
	if c.Operator != "" {
		return r.errorHere("%s and %s must not stand side by side", c.Operator, o)
	}
	c.Operator = o
	c.Value, err = r.scalar()
	if err == nil && o == Exists && c.Value.Text != "true" && c.Value.Text != "false" {
		err = r.errorHere("exists takes true or false")
	}
	return err
}

func (r *reader) scalar() (Value, error) {
	token, err := r.next()
	if err != nil {
		return Value{}, err
	}
	switch v := token.(type) {
	case string:
		return Text(v), nil
	case json.Number:
		return Value{Text: canonicalNumber(v.String()), JSON: v.String()}, nil
	case bool:
		text := strconv.FormatBool(v)
		return Value{Text: text, JSON: text}, nil
	}
	return Value{}, r.errorHere("a value must be a string, a number, true or false")
}
