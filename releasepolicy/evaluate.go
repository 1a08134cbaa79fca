package releasepolicy

import (
	"encoding/json"
	"strconv"
	"strings"

	"skr/internal/strictjson"
)

// Evaluation is the answer of a policy to a token.
type Evaluation struct {
	// Met reports whether the vault would release the key.
	Met bool `json:"met"`
	// Issuer is the issuer of the token.
	Issuer string `json:"issuer"`
	// Authorities has one outcome for each authority, in the policy's order.
	Authorities []Outcome `json:"conditions"`
}

// ParseClaims decodes the claims of a token for [Policy.Evaluate]. Numbers keep their
// digits, and a member that stands twice is an error.
func ParseClaims(data []byte) (map[string]any, error) {
	claims, err := strictjson.Parse(data)
	if err != nil {
		return nil, err
	}
	return claims.Members(), nil
}

// Evaluate holds the claims of a token against the policy. issuer is who issued the token:
// its claim iss. Evaluate does not verify the token; pass only claims of a verified one.
//
// The values of claims are those of encoding/json with UseNumber, as [ParseClaims] returns
// them: string, bool, [json.Number], nil, []any and map[string]any. A number of another type
// may have lost digits, and meets no comparison.
//
// The services document little of what follows. Each is an assumption that was not
// confirmed, except that the text "true" matches the boolean, which recorded traffic of the
// Azure SDKs shows:
//   - comparisons of text are case-sensitive;
//   - scalars are compared by their canonical text: true, false, decimal integers;
//   - less, greater and the like are met only by integers on both sides;
//   - an absent claim meets only "exists": false, and not notEquals;
//   - null is an absent claim; objects and arrays meet only exists.
func (p *Policy) Evaluate(issuer string, claims map[string]any) Evaluation {
	e := p.plan.evaluator(claims)
	evaluation := Evaluation{Issuer: issuer, Authorities: e.outcomes(len(p.roots))}
	for i := range p.roots {
		outcome := &evaluation.Authorities[i]
		e.condition(&p.roots[i], outcome)
		outcome.Issued = sameAuthority(outcome.Authority, issuer)
		outcome.Met = outcome.Met && outcome.Issued
		evaluation.Met = evaluation.Met || outcome.Met
	}
	return evaluation
}

// plan is what the evaluations of a policy have in common.
type plan struct {
	paths [][]string // of the claims that are compared, each once
	order []int      // of the paths, for each comparison of the tree
	nodes int        // conditions of the tree
}

func planFor(roots []Condition) plan {
	var p plan
	p.add(roots, make(map[string]int))
	return p
}

func (p *plan) add(conditions []Condition, known map[string]int) {
	p.nodes += len(conditions)
	for i := range conditions {
		c := &conditions[i]
		if c.Kind != Claim {
			p.add(c.Conditions, known)
			continue
		}
		path, found := known[c.Claim]
		if !found {
			path = len(p.paths)
			known[c.Claim], p.paths = path, append(p.paths, strings.Split(c.Claim, "."))
		}
		p.order = append(p.order, path)
	}
}

// evaluator walks the tree once. It looks each claim up once, however many comparisons are
// about it, and allocates the outcomes of all conditions together.
type evaluator struct {
	values []actual // by path
	order  []int    // of the comparisons that follow
	free   []Outcome
}

func (p *plan) evaluator(claims map[string]any) evaluator {
	e := evaluator{values: make([]actual, len(p.paths)), order: p.order, free: make([]Outcome, p.nodes)}
	for i, path := range p.paths {
		e.values[i] = actualOf(lookup(claims, path))
	}
	return e
}

func (e *evaluator) outcomes(n int) []Outcome {
	some := e.free[:n:n]
	e.free = e.free[n:]
	return some
}

func (e *evaluator) condition(c *Condition, o *Outcome) {
	o.Condition = c
	if c.Kind == Claim {
		value := &e.values[e.order[0]]
		e.order = e.order[1:]
		o.Actual, o.Absent, o.Met = value.text, !value.found, c.met(value)
		return
	}
	o.Members = e.outcomes(len(c.Conditions))
	met := 0
	for i := range c.Conditions {
		e.condition(&c.Conditions[i], &o.Members[i])
		if o.Members[i].Met {
			met++
		}
	}
	o.Met = met == len(c.Conditions) || c.Kind == AnyOf && met > 0
}

func (c *Condition) met(v *actual) bool {
	switch {
	case c.Operator == Exists:
		return v.found == (c.Value.Text == "true")
	case !v.found, !v.scalar:
		return false
	case c.Operator == Equals:
		return v.text == c.Value.Text
	case c.Operator == NotEquals:
		return v.text != c.Value.Text
	}
	order, ok := compareIntegers(v.text, c.Value.Text)
	return ok && c.Operator.accepts(order)
}

// accepts reports whether a claim that is less than (-1), equal to (0) or greater than (1)
// the value meets the operator.
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

// lookup follows a path through nested objects.
func lookup(members map[string]any, path []string) (value any, found bool) {
	for i, name := range path {
		if value, found = members[name]; !found || i == len(path)-1 {
			break
		}
		if members, found = value.(map[string]any); !found {
			break
		}
	}
	return value, found
}

// actual is the value of a claim as canonical text. For an object or an array it is the JSON,
// which no comparison accepts.
type actual struct {
	text   string
	scalar bool
	found  bool // the claim is there, and is not null
}

func actualOf(value any, found bool) actual {
	if !found {
		return actual{}
	}
	switch value := value.(type) {
	case nil:
		return actual{}
	case string:
		return actual{value, true, true}
	case bool:
		return actual{strconv.FormatBool(value), true, true}
	case json.Number:
		return actual{canonicalNumber(value.String()), true, true}
	}
	text, _ := json.Marshal(value) // what was JSON can be again; other values have no text
	return actual{text: string(text), found: true}
}
