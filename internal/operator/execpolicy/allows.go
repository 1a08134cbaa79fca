package execpolicy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

const maxSteps = 100 // from name to name

// AllowsEverything reports whether any container may run under the policy of a container
// group or of a Kata agent. Only constants count: a rule with a condition is taken to
// deny, so a policy that restricts something is never called open. The reverse does not
// hold: a policy may allow everything in a way that constants do not show.
func (p *Policy) AllowsEverything() bool {
	steps := maxSteps
	grants := func(name string) bool { return p.grants(name, &steps) }
	switch p.Namespace {
	case Namespace:
		// An enforcement point that a policy does not define is allowed if it is newer
		// than the policy's api_version.
		mounts := []string{"mount_device", "mount_overlay", "mount_cims"}
		restricted := func(name string) bool { return len(p.rules[name]) > 0 && !grants(name) }
		return grants("create_container") && !slices.ContainsFunc(mounts, restricted)
	case agentNamespace:
		// The agent only logs what fails under a policy with the second rule.
		return grants("CreateContainerRequest") || grants("AllowRequestsFailingPolicy")
	}
	return false
}

// Custom reports whether a container group's policy decides about containers with rules
// of its own instead of those of the framework, which reads containers and fragments.
func (p *Policy) Custom() bool {
	rules := p.rules["create_container"]
	if p.Namespace != Namespace || len(rules) == 0 {
		return false
	}
	framework := ast.MustParseRef("data.framework.create_container")
	for _, rule := range rules {
		if rule.Head.Value == nil || isConditional(rule) { // a set has no value
			return true
		}
		if ref, ok := rule.Head.Value.Value.(ast.Ref); !ok || !ref.Equal(framework) {
			return true
		}
	}
	return false
}

// grants reports whether a name always has a value that allows.
func (p *Policy) grants(name string, steps *int) bool {
	if *steps--; *steps < 0 {
		return false
	}
	always := false
	for _, rule := range p.rules[name] {
		if rule.Head.Value == nil || !p.allows(rule.Head.Value.Value, steps) {
			return false
		}
		always = always || rule.Default || !isConditional(rule)
	}
	return always
}

// allows reports whether a value is true, an object whose member allowed is, or the name
// of such a value.
func (p *Policy) allows(value ast.Value, steps *int) bool {
	switch value := value.(type) {
	case ast.Boolean:
		return bool(value)
	case ast.Var:
		return p.grants(string(value), steps)
	case ast.Ref:
		return len(value) == 1 && p.grants(value.String(), steps)
	case ast.Object:
		allowed := value.Get(ast.StringTerm("allowed"))
		return allowed != nil && p.allows(allowed.Value, steps)
	}
	return false
}
