// Package rego reads an execution policy, far enough to see whether it denies anything.
//
//	if rego.AllowsEverything(text) {
//		// HOST_DATA of this policy identifies no workload
//	}
//
// The language is that of Open Policy Agent ("Policy Language"). Only constant rules are
// understood: what a condition decides counts as denied, so that a policy that restricts
// something is never called open. The reverse does not hold: a policy may allow everything
// in a way that this package does not see.
package rego

import "slices"

const maxSteps = 100 // from name to name

// AllowsEverything reports whether any container may run under a policy: of the
// container groups of ACI (package policy; microsoft/hcsshim, pkg/securitypolicy) or of a
// Kata agent (package agent_policy; kata-containers, src/kata-opa).
func AllowsEverything(text []byte) bool {
	m := module{rules: make(map[string][]rule)}
	for _, statement := range statements(tokens(text)) {
		m.read(statement)
	}
	switch m.name {
	case "policy":
		// An enforcement point that a policy does not define is allowed if it is newer
		// than the policy's api_version.
		mounts := []string{"mount_device", "mount_overlay", "mount_cims"}
		restricted := func(name string) bool { return len(m.rules[name]) > 0 && !m.grants(name) }
		return m.grants("create_container") && !slices.ContainsFunc(mounts, restricted)
	case "agent_policy":
		// The agent only logs what fails under a policy with the second rule.
		return m.grants("CreateContainerRequest") || m.grants("AllowRequestsFailingPolicy")
	}
	return false
}

// module is a policy by the names of its rules.
type module struct {
	name  string // of the package
	rules map[string][]rule
	steps int
}

// rule is one definition of a name.
type rule struct {
	value       []string
	conditional bool
}

// grants reports whether a name always has a value that allows.
func (m *module) grants(name string) bool {
	if m.steps++; m.steps > maxSteps {
		return false
	}
	always := false
	for _, r := range m.rules[name] {
		if !m.allows(r.value) {
			return false
		}
		always = always || !r.conditional
	}
	return always
}

// allows reports whether a value is true, an object whose member allowed is, or the name of
// one.
func (m *module) allows(value []string) bool {
	switch {
	case len(value) == 1:
		return value[0] == "true" || m.grants(value[0])
	case len(value) < 2 || value[0] != "{":
		return false
	}
	for i, depth := 0, 0; i < len(value)-2; i++ {
		depth += nesting(value[i])
		if depth == 1 && value[i] == `"allowed"` && value[i+1] == ":" {
			end := i + 3 // the value is one word
			return (value[end] == "," || value[end] == "}") && m.allows(value[i+2:end])
		}
	}
	return false
}

// read takes one statement of a module.
func (m *module) read(words []string) {
	isDefault := words[0] == "default" && len(words) > 1
	if isDefault {
		words = words[1:]
	}
	name, rest := words[0], words[1:]
	switch name {
	case "package":
		if len(rest) == 1 {
			m.name = rest[0]
		}
		return
	case "import":
		return
	}
	value, rest := head(rest)
	m.rules[name] = append(m.rules[name], rule{value, !isAlways(rest)})
}

// head splits what follows a rule's name into its value and its body. The value of what
// this package does not understand is none, which allows nothing.
func head(words []string) (value, body []string) {
	if len(words) == 0 {
		return nil, nil
	}
	switch words[0] {
	case "{", "if":
		return []string{"true"}, words
	case ":=", "=":
		words = words[1:]
	default:
		return nil, words
	}
	end := 1
	if len(words) > 0 && words[0] == "{" {
		end = group(words)
	}
	if len(words) < end {
		return nil, nil
	}
	return words[:end], words[end:]
}

// isAlways reports whether a body is none, or true.
func isAlways(body []string) bool {
	if len(body) > 0 && body[0] == "if" {
		body = body[1:]
		if len(body) == 0 {
			return false
		}
	}
	return len(body) == 0 || slices.Equal(body, []string{"true"}) || slices.Equal(body, []string{"{", "true", "}"})
}

// group is the length of what begins with a bracket.
func group(words []string) int {
	depth := 0
	for i, word := range words {
		if depth += nesting(word); depth == 0 {
			return i + 1
		}
	}
	return len(words)
}

func nesting(word string) int {
	switch word {
	case "{", "[", "(":
		return 1
	case "}", "]", ")":
		return -1
	}
	return 0
}
