package hostdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"sigs.k8s.io/yaml"
)

const (
	maxDocuments = 1000
	maxDepth     = 100 // templates within templates have a tenth
	maxPolicies  = 1000
)

const (
	// agentPolicy is the annotation that holds the policy of a Kata pod's agent
	// ("Understanding policies", Azure Kubernetes Service).
	agentPolicy = "io.katacontainers.config.agent.policy"
	// groupPolicy is the annotation that a virtual node makes a container group's
	// ccePolicy of (microsoft/virtualnodesOnAzureContainerInstances, "Pod Customizations").
	groupPolicy = "microsoft.containerinstance.virtualnode.ccepolicy"
)

var errNone = errors.New("no policy is in it: neither Rego, nor a manifest with the annotation " + agentPolicy +
	" or " + groupPolicy + ", nor a container group with ccePolicy")

// readDocuments reads JSON, or YAML with several documents.
func readDocuments(data []byte) ([]Policy, error) {
	documents, err := parse(data)
	if err != nil {
		return nil, err
	}
	var f finder
	for _, document := range documents {
		if err := f.value(document, scope{}); err != nil {
			return nil, err
		}
	}
	if len(f.found) == 0 {
		return nil, errNone
	}
	return f.found, nil
}

func parse(data []byte) ([]any, error) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n\ufeff"); len(trimmed) > 0 && trimmed[0] == '{' {
		var document any
		if err := json.Unmarshal(trimmed, &document); err != nil {
			return nil, fmt.Errorf("it looks like JSON and is none: %w", err)
		}
		return []any{document}, nil
	}
	return parseYAML(data)
}

// separator begins a YAML document (YAML 1.2.2, section 9.1.2). Text of block
// scalars is indented and cannot look like it.
var separator = regexp.MustCompile(`(?m)^---(?:[ \t].*)?\r?$`)

func parseYAML(data []byte) ([]any, error) {
	texts := separator.Split(string(data), maxDocuments+1)
	if len(texts) > maxDocuments {
		return nil, fmt.Errorf("it has more than %d documents", maxDocuments)
	}
	documents := make([]any, 0, len(texts))
	for i, text := range texts {
		var document any
		if err := yaml.UnmarshalStrict([]byte(text), &document); err != nil {
			return nil, fmt.Errorf("document %d is neither Rego, base64, JSON nor YAML", i+1)
		}
		documents = append(documents, document)
	}
	return documents, nil
}

// finder collects the policies of a tree of objects.
type finder struct {
	found []Policy
	depth int
}

func (f *finder) value(value any, s scope) error {
	if f.depth++; f.depth > maxDepth {
		return fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	defer func() { f.depth-- }()
	switch value := value.(type) {
	case map[string]any:
		return f.object(value, s.within(value))
	case []any:
		for _, element := range value {
			if err := f.value(element, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *finder) object(o map[string]any, s scope) error {
	for _, find := range []func(map[string]any, scope) error{f.annotation, f.container} {
		if err := find(o, s); err != nil {
			return err
		}
	}
	return s.members(o, f.value)
}

// annotation takes the policies of an object's own metadata.
func (f *finder) annotation(o map[string]any, s scope) error {
	for _, name := range []string{agentPolicy, groupPolicy} {
		policy, found := member(field(o, "metadata"), "annotations", name)
		if !found {
			continue
		}
		if err := f.add(policy, s, "annotation "+name); err != nil {
			return err
		}
	}
	return nil
}

// container takes the policy of a container group's properties
// (Microsoft.ContainerInstance/containerGroups, ConfidentialComputeProperties).
func (f *finder) container(o map[string]any, s scope) error {
	policy, found := member(o, "confidentialComputeProperties", "ccePolicy")
	if !found {
		return nil
	}
	return f.add(policy, s, "ccePolicy")
}

func (f *finder) add(policy any, s scope, name string) error {
	if len(f.found) >= maxPolicies {
		return fmt.Errorf("it has more than %d policies", maxPolicies)
	}
	text, ok := policy.(string)
	if !ok {
		return fmt.Errorf("%s: the %s is not a string", s.source, name)
	}
	text, err := s.resolve(text)
	if err == nil {
		var decoded []byte
		if decoded, err = decode(text); err == nil {
			f.found = append(f.found, newPolicy(s.source, decoded))
			return nil
		}
	}
	return fmt.Errorf("%s: the %s cannot be used: %w", s.source, name, err)
}

// member walks objects by name.
func member(value any, names ...string) (any, bool) {
	for _, name := range names {
		o, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, ok = o[name]; !ok {
			return nil, false
		}
	}
	return value, value != nil
}

// field is one member, nil if there is none.
func field(value any, name string) any {
	found, _ := member(value, name)
	return found
}
