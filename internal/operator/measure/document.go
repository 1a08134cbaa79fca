package measure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"

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
	// groupPolicy is the annotation that a virtual node turns into a container group's
	// ccePolicy (microsoft/virtualnodesOnAzureContainerInstances, "Pod Customizations").
	groupPolicy = "microsoft.containerinstance.virtualnode.ccepolicy"
)

var errNone = errors.New("no policy is in it: neither Rego nor initdata, nor a manifest with the annotation " + agentPolicy +
	", " + initdataAnnotations[0] + " or " + groupPolicy + ", nor a container group or deployment parameters with ccePolicy")

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
		f.parameters(document)
	}
	if len(f.found) == 0 {
		return nil, errNone
	}
	return f.found, nil
}

func parse(data []byte) ([]any, error) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n\ufeff"); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJSON(trimmed)
	}
	return parseYAML(data)
}

// parseJSON reads objects one after the other, as kubectl does.
func parseJSON(text []byte) ([]any, error) {
	var documents []any
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var document any
		err := decoder.Decode(&document)
		switch {
		case errors.Is(err, io.EOF):
			return documents, nil
		case err != nil:
			return nil, fmt.Errorf("it looks like JSON and is malformed: %w", err)
		case len(documents) == maxDocuments:
			return nil, fmt.Errorf("it has more than %d documents", maxDocuments)
		}
		documents = append(documents, document)
	}
}

// separator begins a YAML document (YAML 1.2.2, section 9.1.2). Block scalars are indented and
// cannot look like it.
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

// annotation adds the policies in an object's own metadata.
func (f *finder) annotation(o map[string]any, s scope) error {
	annotations := field(field(o, "metadata"), "annotations")
	policy := field(annotations, agentPolicy)
	for _, name := range initdataAnnotations {
		value := field(annotations, name)
		if value == nil {
			continue
		}
		if err := f.initdata(value, s, name); err != nil {
			return err
		}
		if policy != nil {
			f.found[len(f.found)-1].warn("it has both annotations, and HOST_DATA is one of the two: " + initdata +
				" where Kata measures initdata (Confidential Containers), " + agentPolicy +
				" where it measures the agent's policy (AKS kata-cc); remove the one that your runtime does not measure, or compare with a report")
		}
	}
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

// container adds the policy in a container group's properties
// (Microsoft.ContainerInstance/containerGroups, ConfidentialComputeProperties).
func (f *finder) container(o map[string]any, s scope) error {
	policy, found := member(o, "confidentialComputeProperties", "ccePolicy")
	if !found {
		return nil
	}
	return f.add(policy, s, "ccePolicy")
}

const initdata = "cc_init_data"

// initdata adds the initdata that Kata measures in place of a policy.
func (f *finder) initdata(value any, s scope, name string) error {
	if len(f.found) >= maxPolicies {
		return fmt.Errorf("it has more than %d policies", maxPolicies)
	}
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("%s: the annotation %s is not a string", s.source, name)
	}
	data, err := decode(text)
	if err == nil {
		var p Policy
		if p, err = readInitdata(data, s.source+", "+initdata); err == nil {
			p.namespace = s.namespace
			f.found = append(f.found, p)
			return nil
		}
	}
	return fmt.Errorf("%s: the annotation %s cannot be used: %w", s.source, name, err)
}

// parameters adds the policies in a file of deployment parameters ("Create Parameters files
// for Bicep deployment", Azure Resource Manager). They are recognised by their values.
func (f *finder) parameters(document any) {
	given, isGiven := field(document, "parameters").(map[string]any)
	if _, isTemplate := member(document, "resources"); !isGiven || isTemplate {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		f.addValues(field(given[name], "value"), printable(name), maxDepth)
	}
}

// addValues adds each text in a value that is a policy in base64.
func (f *finder) addValues(value any, path string, depth int) {
	switch value := value.(type) {
	case string:
		if text, err := decode(value); err == nil && isRego(text) && len(f.found) < maxPolicies {
			f.found = append(f.found, newPolicy(fmt.Sprintf("parameter %q", shorten(path)), text))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if depth > 0 {
				f.addValues(value[name], path+"."+printable(name), depth-1)
			}
		}
	}
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
			p := newPolicy(s.source, decoded)
			p.namespace = s.namespace
			f.found = append(f.found, p)
			return nil
		}
	}
	return fmt.Errorf("%s: the %s cannot be used: %w", s.source, name, err)
}

// member returns the value at a path of names.
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

// field returns one member, or nil.
func field(value any, name string) any {
	found, _ := member(value, name)
	return found
}
