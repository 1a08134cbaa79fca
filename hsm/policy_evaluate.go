package hsm

import (
	"encoding/json"
	"strconv"
	"strings"

	"skr/internal/strictjson"
)

// Evaluation tells whether a token meets a policy, and why.
type Evaluation struct {
	// Met says whether the vault would release the key.
	Met bool `json:"met"`
	// Issuer of the token.
	Issuer string `json:"issuer"`
	// Conditions has one tree for each authority, in the policy's order.
	Conditions []Condition `json:"conditions"`
}

// Condition is a node of an evaluation.
type Condition struct {
	// Kind is AnyOf or AllOf for a group, Claim for a comparison.
	Kind ConditionKind `json:"kind"`
	// Authority names the attestation service, on the trees' roots only.
	Authority string `json:"authority,omitempty"`
	// Issued says on a root that this authority issued the token. Without it
	// a root is not met, whatever its conditions are.
	Issued bool `json:"issued,omitempty"`
	// Claim, Operator, Expected and Actual describe a comparison. Actual is
	// the claim as canonical text.
	Claim    string   `json:"claim,omitempty"`
	Operator Operator `json:"operator,omitempty"`
	Expected string   `json:"expected,omitempty"`
	Actual   string   `json:"actual,omitempty"`
	// Absent says that the token has no such claim; Actual is empty.
	Absent bool `json:"absent,omitempty"`
	// Met is the outcome of this node.
	Met bool `json:"met"`
	// Conditions are the members of a group.
	Conditions []Condition `json:"conditions,omitempty"`
}

// Evaluate appraises a token that issuer issued with these claims. Whether the
// token is authentic is not asked here: pass claims only of a verified token.
//
// The services document little of what follows; each is an assumption that
// was not confirmed, except that a string "true" matches the boolean (recorded
// traffic of the Azure SDKs):
//   - text is compared with regard to case;
//   - scalars are compared as canonical text: true, false, decimal integers;
//   - the ordering operators need integers on both sides, else they are not met;
//   - a missing claim meets nothing, not even notEquals, but for "exists": false;
//   - null is a missing claim, and objects and arrays meet nothing but exists.
func (p *ReleasePolicy) Evaluate(issuer string, claims strictjson.Object) Evaluation {
	v := &evaluator{values: make([]actual, len(p.claims)), free: make([]Condition, p.nodes)}
	for i, claim := range p.claims {
		v.values[i] = actualOf(claims.Lookup(claim))
	}
	e := Evaluation{Issuer: issuer, Conditions: v.take(len(p.authorities))}
	for i := range p.authorities {
		a, root := &p.authorities[i], &e.Conditions[i]
		a.group.evaluate(v, root)
		root.Authority = a.name
		root.Issued = sameAuthority(a.name, issuer)
		root.Met = root.Met && root.Issued
		e.Met = e.Met || root.Met
	}
	return e
}

// evaluator looks each claim up once, whatever the number of authorities that ask
// for it, and has room for all nodes.
type evaluator struct {
	values []actual    // of the policy's claims
	free   []Condition // that nobody has taken
}

func (v *evaluator) take(n int) []Condition {
	taken := v.free[:n:n]
	v.free = v.free[n:]
	return taken
}

func (g *group) evaluate(v *evaluator, node *Condition) {
	node.Kind, node.Conditions = g.kind, v.take(len(g.conditions))
	met := 0
	for i := range g.conditions {
		g.conditions[i].evaluate(v, &node.Conditions[i])
		if node.Conditions[i].Met {
			met++
		}
	}
	node.Met = met == len(g.conditions) || g.kind == AnyOf && met > 0
}

func (c *condition) evaluate(v *evaluator, node *Condition) {
	if c.group != nil {
		c.group.evaluate(v, node)
		return
	}
	value := &v.values[c.number]
	node.Kind, node.Claim, node.Operator, node.Expected = Claim, c.claim, c.operator, c.value.text
	node.Actual, node.Absent = value.text, !value.found
	node.Met = c.met(value)
}

// number gives each claim that the policy names a number, and counts its nodes.
func (p *ReleasePolicy) number() {
	numbers := make(map[string]int)
	p.nodes = len(p.authorities)
	for i := range p.authorities {
		p.numberGroup(&p.authorities[i].group, numbers)
	}
}

func (p *ReleasePolicy) numberGroup(g *group, numbers map[string]int) {
	p.nodes += len(g.conditions)
	for i := range g.conditions {
		c := &g.conditions[i]
		if c.group != nil {
			p.numberGroup(c.group, numbers)
			continue
		}
		number, known := numbers[c.claim]
		if !known {
			number = len(p.claims)
			numbers[c.claim], p.claims = number, append(p.claims, c.claim)
		}
		c.number = number
	}
}

// actual is a claim as canonical text; the JSON of objects and arrays, which no
// comparison takes.
type actual struct {
	text   string
	scalar bool
	found  bool // there is such a claim, and it is not null
}

func actualOf(value any, found bool) actual {
	switch value := value.(type) {
	case nil:
		return actual{}
	case string:
		return actual{value, true, found}
	case bool:
		return actual{strconv.FormatBool(value), true, found}
	case json.Number:
		return actual{canonicalNumber(value.String()), true, found}
	}
	text, _ := json.Marshal(value) // it came from JSON
	return actual{text: string(text), found: found}
}

func (c *condition) met(v *actual) bool {
	switch {
	case c.operator == Exists:
		return v.found == (c.value.text == "true")
	case !v.found, !v.scalar:
		return false
	case c.operator == Equals:
		return v.text == c.value.text
	case c.operator == NotEquals:
		return v.text != c.value.text
	}
	order, ok := compareIntegers(v.text, c.value.text)
	return ok && c.operator.accepts(order)
}

// accepts says whether a claim in this order to the value (-1, 0, 1) meets the operator.
func (o Operator) accepts(order int) bool {
	switch o {
	case Less:
		return order < 0
	case LessOrEquals:
		return order <= 0
	case Greater:
		return order > 0
	case GreaterOrEquals:
		return order >= 0
	}
	return false
}

// compareIntegers orders two decimal integers of any length; ok is false if
// one is something else.
func compareIntegers(a, b string) (order int, ok bool) {
	negativeA, digitsA, okA := splitInteger(a)
	negativeB, digitsB, okB := splitInteger(b)
	switch {
	case !okA || !okB:
		return 0, false
	case negativeA && negativeB:
		return compareDigits(digitsB, digitsA), true
	case negativeA:
		return -1, true
	case negativeB:
		return 1, true
	}
	return compareDigits(digitsA, digitsB), true
}

func compareDigits(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// splitInteger returns the digits without leading zeros; zero is never negative.
func splitInteger(text string) (negative bool, digits string, ok bool) {
	digits, negative = strings.CutPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return false, "", false
	}
	digits = strings.TrimLeft(digits, "0")
	return negative && digits != "", digits, true
}

// canonicalNumber is the text that stands for a JSON number: integers have one
// spelling but for minus zero, other numbers keep theirs.
func canonicalNumber(number string) string {
	if number == "-0" {
		return "0"
	}
	return number
}
