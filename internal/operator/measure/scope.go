package measure

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// scope is what surrounds an object: its name for people, and the parameters that
// an ARM expression there means.
type scope struct {
	source     string
	parameters map[string]any
}

// within is the scope inside of an object.
func (s scope) within(o map[string]any) scope {
	if kind := kindOf(o); kind != "" {
		s.source = kind
	}
	if s.source == "" {
		s.source = "object without kind"
	}
	// A template is what has resources; in a nested one expressions mean the
	// outer parameters, unless members said otherwise.
	if _, isTemplate := o["resources"]; isTemplate && s.parameters == nil {
		s.parameters = given(o["parameters"], nil)
	}
	return s
}

// kindOf names an object: a Kubernetes kind or the last part of an ARM type, and
// the name. Lists and pod templates have no name of their own.
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

// members walks the members of an object in the order of their names. The template
// of a deployment whose scope is "inner" has parameters of its own ("Linked and
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

// given are the declared parameters, with the values that a deployment passes in
// the place of their defaults.
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

// resolve is the text that an ARM expression stands for. What is no expression
// stands for itself; base64 has no bracket.
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

// defaultOf walks the path of members, such as ".aci.policy", in a default value.
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

// memberFold is a member in any case, as expressions name it.
func memberFold(value any, name string) any {
	o, _ := value.(map[string]any)
	for other, inner := range o {
		if strings.EqualFold(other, name) {
			return inner
		}
	}
	return nil
}
