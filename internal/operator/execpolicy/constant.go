package execpolicy

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// constant decodes the value of a rule. An absent rule leaves the value as it is.
func (p *Policy) constant(name string, into any) error {
	rules := p.rules[name]
	if len(rules) == 0 {
		return nil
	}
	if err := decode(rules, into); err != nil {
		return fmt.Errorf("rule %s: %w", name, err)
	}
	return nil
}

func decode(rules []*ast.Rule, into any) error {
	if len(rules) > 1 {
		return errors.New("it is defined more than once")
	}
	head := rules[0].Head
	if hasParameters(head.Value) {
		return errors.New("its value has parameters, which each import sets; only constants can be read")
	}
	if isConditional(rules[0]) || head.Value == nil || !head.Value.IsGround() {
		return errors.New("its value is computed; only constants can be read")
	}
	value, err := ast.JSON(head.Value.Value)
	if err != nil {
		return errors.New("its value is computed; only constants can be read")
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding its value: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("its value has the wrong form: %w", describe(err))
	}
	return nil
}

// hasParameters reports whether a value calls parameter("name"), which is the import's value
// for that name (framework.rego 0.5.0).
func hasParameters(value *ast.Term) (found bool) {
	ast.WalkTerms(value, func(term *ast.Term) bool {
		call, is := term.Value.(ast.Call)
		found = found || is && len(call) > 0 && call[0].String() == "parameter"
		return found
	})
	return found
}

// describe names the member, and not the Go type.
func describe(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s must not be a %s", wrong.Field, wrong.Value)
	}
	return err
}

// isConditional reports whether a rule has a body other than true, arguments, or an else.
func isConditional(rule *ast.Rule) bool {
	if len(rule.Head.Args) > 0 || rule.Head.Key != nil || rule.Else != nil {
		return true
	}
	for _, expr := range rule.Body {
		term, ok := expr.Terms.(*ast.Term)
		if !ok || expr.Negated || ast.Compare(term.Value, ast.Boolean(true)) != 0 {
			return true
		}
	}
	return false
}
