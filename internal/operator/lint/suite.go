package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"skr/internal/excerpt"
	"skr/internal/strictjson"
	"skr/internal/strictyaml"
	"skr/releasepolicy"
)

const maxCases = 1000

// Suite is a table of tests for a policy: tokens, and whether each must meet it.
type Suite struct {
	policy string
	cases  []suiteCase
}

type suiteCase struct {
	Name string `json:"name"`
	// Claims is the name of a file, or an object with the claims.
	Claims json.RawMessage `json:"claims"`
	// Issuer replaces the claim iss.
	Issuer string `json:"issuer,omitempty"`
	// Released says whether the token must meet the policy.
	Released *bool `json:"released"`
	// Reason is a claim that must be among the reasons why the token does not.
	Reason string `json:"reason,omitempty"`
}

// Outcome is the result of one case.
type Outcome struct {
	Name string `json:"name"`
	// Passed reports whether the evaluation is what the case expects.
	Passed bool `json:"passed"`
	// Released reports whether the token meets the policy.
	Released bool `json:"released"`
	// Reasons are the claims of the comparisons that are not met.
	Reasons []string `json:"reasons,omitempty"`
	// Problem says what differs. It is empty if the case passed.
	Problem string `json:"problem,omitempty"`
}

// ParseSuite reads a table in YAML:
//
//	policy: policy.json
//	cases:
//	  - name: our workload
//	    claims: claims/production.json   # a token, or its claims in JSON
//	    released: true
//	  - name: with a debugger
//	    claims: {iss: https://…, x-ms-sevsnpvm-is-debuggable: true}
//	    issuer: https://…                # replaces iss
//	    released: false
//	    reason: x-ms-sevsnpvm-is-debuggable
func ParseSuite(data []byte) (*Suite, error) {
	var table struct {
		Policy string      `json:"policy"`
		Cases  []suiteCase `json:"cases"`
	}
	if err := strictyaml.Decode(data, &table); err != nil {
		return nil, fmt.Errorf("reading the table: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if err := checkTable(table.Policy, table.Cases); err != nil {
		return nil, fmt.Errorf("reading the table: %w", err)
	}
	return &Suite{table.Policy, table.Cases}, nil
}

func checkTable(policy string, cases []suiteCase) error {
	switch {
	case policy == "":
		return errors.New("policy: the name of a file is missing")
	case len(cases) == 0:
		return errors.New("cases: the list is empty")
	case len(cases) > maxCases:
		return fmt.Errorf("cases: there are more than %d", maxCases)
	}
	for i, c := range cases {
		where := fmt.Sprintf("case %d, %s", i+1, excerpt.Quote(c.Name))
		switch {
		case c.Name == "":
			return fmt.Errorf("case %d: name is missing", i+1)
		case len(c.Claims) == 0:
			return fmt.Errorf("%s: claims are missing", where)
		case c.Released == nil:
			return fmt.Errorf("%s: released is missing: true or false", where)
		case *c.Released && c.Reason != "":
			return fmt.Errorf("%s: with released: true, no reason can be expected", where)
		}
	}
	return nil
}

// Run evaluates the policy for each case. read must return the content of a file that the
// table names. Run returns an error if a file cannot be read or is not a policy or a token.
func (s *Suite) Run(read func(name string) ([]byte, error)) ([]Outcome, error) {
	policy, err := s.open(read)
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, len(s.cases))
	for i, c := range s.cases {
		token, err := c.token(read)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", excerpt.Quote(c.Name), err)
		}
		outcomes[i] = c.run(policy, token)
	}
	return outcomes, nil
}

func (s *Suite) open(read func(string) ([]byte, error)) (*releasepolicy.Policy, error) {
	data, err := read(s.policy)
	if err != nil {
		return nil, err
	}
	document, err := Open(data)
	if err != nil {
		return nil, err
	}
	policy, err := releasepolicy.Parse(document.Text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.policy, err)
	}
	return policy, nil
}

func (c suiteCase) token(read func(string) ([]byte, error)) (strictjson.Object, error) {
	data := []byte(c.Claims)
	var name string
	if json.Unmarshal(c.Claims, &name) == nil {
		var err error
		if data, err = read(name); err != nil {
			return strictjson.Object{}, err
		}
	}
	return ReadClaims(data)
}

func (c suiteCase) run(policy *releasepolicy.Policy, token strictjson.Object) Outcome {
	issuer, _ := token.Text("iss")
	if c.Issuer != "" {
		issuer = c.Issuer
	}
	evaluation := policy.Evaluate(issuer, token.Members())
	o := Outcome{Name: c.Name, Released: evaluation.Met}
	for _, unmet := range evaluation.Unmet() {
		if !slices.Contains(o.Reasons, unmet.Claim) {
			o.Reasons = append(o.Reasons, unmet.Claim)
		}
	}
	o.Problem = c.differs(o)
	o.Passed = o.Problem == ""
	return o
}

func (c suiteCase) differs(o Outcome) string {
	switch {
	case o.Released && !*c.Released:
		return "the key would be released"
	case !o.Released && *c.Released:
		return "the key would not be released, because of " + excerpt.Of(strings.Join(o.Reasons, ", "))
	case c.Reason != "" && !slices.Contains(o.Reasons, c.Reason):
		return "the reason is not " + excerpt.Of(c.Reason) + ", but " + excerpt.Of(strings.Join(o.Reasons, ", "))
	}
	return ""
}
