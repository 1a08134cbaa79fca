package measure

import "slices"

// maxSteps bounds how far a rule is followed from name to name.
const maxSteps = 100

// allowsEverything reports whether any container may run under an execution policy: one of
// the container groups of ACI (package policy; microsoft/hcsshim, pkg/securitypolicy) or of a
// Kata agent (package agent_policy; kata-containers, src/kata-opa).
//
// The language is that of Open Policy Agent ("Policy Language"). Only constant rules are
// understood. A rule with a condition counts as denied, so a policy that restricts something
// is never reported. A policy may allow everything in a way that is not recognised here.
func allowsEverything(text []byte) bool {
	m := regoModule{rules: make(map[string][]regoRule)}
	for _, statement := range statements(tokens(text)) {
		m.addStatement(statement)
	}
	switch m.name {
	case "policy":
		// A policy that does not define an enforcement point allows it if the point is newer
		// than the api_version of the policy.
		mounts := []string{"mount_device", "mount_overlay", "mount_cims"}
		restricted := func(name string) bool { return len(m.rules[name]) > 0 && !m.grants(name) }
		return m.grants("create_container") && !slices.ContainsFunc(mounts, restricted)
	case "agent_policy":
		// With the second rule the agent only logs what fails.
		return m.grants("CreateContainerRequest") || m.grants("AllowRequestsFailingPolicy")
	}
	return false
}

// regoModule is a policy by the names of its rules.
type regoModule struct {
	name  string // of the package
	rules map[string][]regoRule
	steps int
}

// regoRule is one definition of a name.
type regoRule struct {
	value       []string
	conditional bool
}

// grants reports whether the rules of a name always have a value that allows.
func (m *regoModule) grants(name string) bool {
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

// allows reports whether a value is true, an object whose member allowed is true, or the
// name of a rule that grants.
func (m *regoModule) allows(value []string) bool {
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

// addStatement adds one statement of a module.
func (m *regoModule) addStatement(words []string) {
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
	value, rest := splitRule(rest)
	m.rules[name] = append(m.rules[name], regoRule{value, !isAlways(rest)})
}

// splitRule splits what follows a rule's name into its value and its body. A form that is
// not understood has no value, which allows nothing.
func splitRule(words []string) (value, body []string) {
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
		end = bracketed(words)
	}
	if len(words) < end {
		return nil, nil
	}
	return words[:end], words[end:]
}

// isAlways reports whether a body is empty or true.
func isAlways(body []string) bool {
	if len(body) > 0 && body[0] == "if" {
		body = body[1:]
		if len(body) == 0 {
			return false
		}
	}
	return len(body) == 0 || slices.Equal(body, []string{"true"}) || slices.Equal(body, []string{"{", "true", "}"})
}

// bracketed returns the length of what begins with a bracket.
func bracketed(words []string) int {
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
