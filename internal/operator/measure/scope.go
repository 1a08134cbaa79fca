package measure

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// scope is the context of an object: its name for people, and the parameters that ARM
// expressions refer to.
type scope struct {
	source     string
	namespace  string // of Kubernetes
	parameters map[string]any
}

// within returns the scope inside of an object.
func (s scope) within(o map[string]any) scope {
	if kind := kindOf(o); kind != "" {
		namespace, _ := field(o["metadata"], "namespace").(string)
		s.source, s.namespace = kind, namespace
	}
	if s.source == "" {
		s.source = "object without kind"
	}
	// A template has resources. Expressions in a nested template refer to the outer
	// parameters, unless members has set others.
	if _, isTemplate := o["resources"]; isTemplate && s.parameters == nil {
		s.parameters = given(o["parameters"], nil)
	}
	return s
}

// kindOf returns a Kubernetes kind or the last part of an ARM type, and the name. Lists and pod
// templates have no name.
func kindOf(o map[string]any) string {
	kind, _ := o["kind"].(string)
	name, _ := field(o["metadata"], "name").(string)
	if resource, _ := o["type"].(string); kind == "" && strings.Contains(resource, "/") {
		kind = resource[strings.LastIndexByte(resource, '/')+1:]
		name, _ = o["name"].(string)
	}
	if kind == "" || name == "" {
		return printable(kind)
	}
	return fmt.Sprintf("%s %q", printable(kind), shorten(name))
}

func printable(kind string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, shorten(kind))
}

func shorten(text string) string {
	const maxRunes = 100
	if runes := []rune(text); len(runes) > maxRunes {
		return string(runes[:maxRunes]) + "…"
	}
	return text
}

// members visits the members of an object in the order of their names. The template
// of a deployment whose scope is "inner" has its own parameters ("Linked and
// nested templates", Azure Resource Manager: expressionEvaluationOptions).
func (s scope) members(o map[string]any, visit func(any, scope) error) error {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		inside := s
		mode, _ := field(o["expressionEvaluationOptions"], "scope").(string)
		if name == "template" && strings.EqualFold(mode, "inner") {
			inside.parameters = given(field(o[name], "parameters"), o["parameters"])
		}
		if err := visit(o[name], inside); err != nil {
			return err
		}
	}
	return nil
}

// given returns the declared parameters, with the values that a deployment passes in place of
// their defaults.
func given(declared, passed any) map[string]any {
	all := make(map[string]any)
	if declared, ok := declared.(map[string]any); ok {
		maps.Copy(all, declared)
	}
	if passed, ok := passed.(map[string]any); ok {
		for name, value := range passed {
			all[name] = map[string]any{"defaultValue": field(value, "value")}
		}
	}
	return all
}

// parameter is the expression for a parameter, or for a member of one.
var parameter = regexp.MustCompile(`^\[\s*parameters\s*\(\s*'([^']+)'\s*\)\s*((?:\.\s*[A-Za-z_][A-Za-z0-9_]*\s*)*)\]$`)

// resolve returns the value of an ARM expression. Other text is returned as it is: base64 has
// no bracket.
func (s scope) resolve(text string) (string, error) {
	trimmed := strings.TrimSpace(text)
	if !strings.HasPrefix(trimmed, "[") {
		return text, nil
	}
	match := parameter.FindStringSubmatch(trimmed)
	if match == nil {
		return "", fmt.Errorf("it is the expression %q, and only [parameters('NAME')] and its members can be resolved", shorten(trimmed))
	}
	for name, declared := range s.parameters {
		if strings.EqualFold(name, match[1]) { // names of parameters have no case
			return defaultOf(match[1], match[2], declared)
		}
	}
	return "", fmt.Errorf("it is the parameter %q, which the template does not declare", shorten(match[1]))
}

// defaultOf returns the text at a path of members, such as ".aci.policy", in a default value.
func defaultOf(name, path string, declared any) (string, error) {
	value := field(declared, "defaultValue")
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == ' ' }) {
		value = memberFold(value, part)
	}
	text, ok := value.(string)
	switch {
	case !ok || text == "":
		return "", fmt.Errorf("it is the parameter %q, which has no default value: measure the file with the deployment's parameters, or put the policy in its place",
			shorten(name+strings.ReplaceAll(path, " ", "")))
	case strings.HasPrefix(strings.TrimSpace(text), "["):
		return "", fmt.Errorf("it is the parameter %q, whose default value is an expression itself", shorten(name))
	}
	return text, nil
}

// memberFold returns a member by its name in any case, as in expressions.
func memberFold(value any, name string) any {
	o, _ := value.(map[string]any)
	for other, inner := range o {
		if strings.EqualFold(other, name) {
			return inner
		}
	}
	return nil
}
