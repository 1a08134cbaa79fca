// Package execpolicy reads execution policies: the Rego that defines what may run in a
// confidential container group, and whose SHA-256 is HOST_DATA of the group's reports.
//
//	policy, err := execpolicy.Parse(text)
//	for _, i := range policy.Imports {
//		fmt.Println(i) // admits any container that "Contoso" signs for feed FEED with svn ≥ 3
//	}
//
// A policy fragment is the same language. A top-level policy imports fragments by their
// issuer and feed instead of listing their containers, so its hash stays the same while
// images change (microsoft/hcsshim, pkg/securitypolicy, framework.rego: load_fragment).
//
// The package reads constants: the rules whose value is written out, as the tools write
// them. It does not evaluate conditions. A policy that decides with conditions of its own
// is reported by [Policy.Custom], because constants do not show what it admits.
package execpolicy

import (
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// MaxBytes bounds a policy. Policies of hundreds of layers have a few megabytes.
const MaxBytes = 16 << 20

// Namespace is the package of a container group's top-level policy, as the utility VM
// expects it.
const Namespace = "policy"

// agentNamespace is the package of a policy of a Kata agent (kata-containers, src/kata-opa).
const agentNamespace = "agent_policy"

// Policy is an execution policy or a fragment.
type Policy struct {
	// Namespace is its Rego package: "policy", or a name that the author of a fragment chose.
	Namespace string
	// APIVersion and FrameworkVersion are semantic versions, or "" if absent.
	APIVersion, FrameworkVersion string
	// SVN is the security version number of a fragment: decimal digits, or "" if absent.
	SVN Number
	// Containers are those that the policy itself admits.
	Containers []Container
	// Imports are the rules by which it admits fragments.
	Imports []Import
	// Unread says which of these the policy has in a form that is not a constant of the
	// known form; nil if none. They are then missing above.
	Unread error

	rules map[string][]*ast.Rule
}

// Parse reads Rego of either version of the language. It returns an error if the text is
// not Rego. Check [Policy.Unread] before you rely on what a policy lacks.
func Parse(text []byte) (*Policy, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("the policy is longer than %d bytes", MaxBytes)
	}
	module, err := parseModule(string(text))
	if err != nil {
		return nil, err
	}
	p := &Policy{Namespace: namespaceOf(module), rules: rulesByName(module)}
	if p.Namespace == agentNamespace {
		return p, nil // an agent's policy has other rules
	}
	p.Unread = errors.Join(
		p.constant("api_version", &p.APIVersion), p.constant("framework_version", &p.FrameworkVersion), p.constant("svn", &p.SVN),
		p.constant("containers", &p.Containers), p.constant("fragments", &p.Imports),
	)
	return p, nil
}

// parseModule tries the language that utility VMs run (version 0) before today's.
func parseModule(text string) (*ast.Module, error) {
	module, err := ast.ParseModuleWithOpts("policy.rego", text, ast.ParserOptions{RegoVersion: ast.RegoV0})
	if err == nil && module != nil {
		return module, nil
	}
	if module, again := ast.ParseModuleWithOpts("policy.rego", text, ast.ParserOptions{RegoVersion: ast.RegoV1}); again == nil && module != nil {
		return module, nil
	}
	if err == nil {
		return nil, errors.New("the policy is empty")
	}
	return nil, fmt.Errorf("the policy is not Rego: %s", firstError(err))
}

// firstError returns one line. OPA reports all errors, with the text around each.
func firstError(err error) string {
	if all, ok := errors.AsType[ast.Errors](err); ok && len(all) > 0 {
		first := all[0]
		if first.Location != nil {
			return fmt.Sprintf("line %d, column %d: %s", first.Location.Row, first.Location.Col, first.Message)
		}
		return first.Message
	}
	return err.Error()
}

func namespaceOf(module *ast.Module) string {
	path := module.Package.Path
	if len(path) != 2 { // data.NAME
		return ""
	}
	name, _ := path[1].Value.(ast.String)
	return string(name)
}

func rulesByName(module *ast.Module) map[string][]*ast.Rule {
	rules := make(map[string][]*ast.Rule)
	for _, rule := range module.Rules {
		name := rule.Head.Ref().String()
		rules[name] = append(rules[name], rule)
	}
	return rules
}

// IsFragment reports whether the text is meant as a fragment: it has a security version
// number and is not a top-level policy.
func (p *Policy) IsFragment() bool { return p.SVN != "" && p.Namespace != Namespace }
