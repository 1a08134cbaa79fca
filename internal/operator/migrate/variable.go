package migrate

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/operator/splice"
	"skr/internal/strictjson"
)

// environment returns the entry of a container's variable, or nil.
func environment(container *yaml.Node, name string) *yaml.Node {
	for _, entry := range splice.Items(splice.Member(container, "env")) {
		if splice.Scalar(splice.Member(entry, "name")) == name {
			return entry
		}
	}
	return nil
}

func setVariable(container *yaml.Node, name, value string) {
	entry := environment(container, name)
	if entry == nil {
		variables := ensure(container, "env", yaml.SequenceNode)
		entry = &yaml.Node{Kind: yaml.MappingNode, Style: styleOf(variables)}
		set(entry, "name", scalar(name))
		variables.Content = append(variables.Content, entry)
	}
	remove(entry, "valueFrom")
	setText(entry, "value", value)
}

// styleOf returns the style of the first item of a list.
func styleOf(list *yaml.Node) yaml.Style {
	if len(list.Content) == 0 {
		return 0
	}
	return list.Content[0].Style
}

func unsetVariable(container *yaml.Node, name string) {
	removeIf(container, "env", func(entry *yaml.Node) bool { return splice.Scalar(splice.Member(entry, "name")) == name })
}

const (
	// thimVariable names the certificate cache on virtual nodes, and thimPlaceholder is the value that a
	// virtual node replaces (microsoft/virtualnodesOnAzureContainerInstances, "THIM Downlevel APIs").
	thimVariable    = "VN2_THIM_ENDPOINT"
	thimPlaceholder = "===VIRTUALNODE2.CC.THIM.ENDPOINT==="
)

// certificates takes the certificate cache from the virtual node: IMDS, which manifests of kata-cc name,
// has none there.
func (m *migration) certificates(where string, container *yaml.Node) {
	if entry := environment(container, "SkrSideCarArgs"); entry != nil {
		rest, found := withoutCache(splice.Scalar(splice.Member(entry, "value")))
		switch {
		case found && rest == "":
			unsetVariable(container, "SkrSideCarArgs")
			m.changed(where, "variable SkrSideCarArgs is removed: its certificate cache is that of the node's metadata service")
		case found:
			set(entry, "value", scalar(rest))
			m.changed(where, "certcache is removed from SkrSideCarArgs: it is that of the node's metadata service")
		}
	}
	if isReference(splice.Scalar(splice.Member(container, "image"))) {
		return // it has the certificate of its host in the security context
	}
	setVariable(container, thimVariable, thimPlaceholder)
	m.changed(where, "variable %s is added: the virtual node replaces its value with the address of the certificate cache", thimVariable)
}

// withoutCache removes a certificate cache at the node's metadata service from the arguments of the
// sidecar. It returns "" if they have nothing else.
func withoutCache(encoded string) (rest string, found bool) {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
	if err != nil {
		return "", false
	}
	if _, err := strictjson.Parse(data); err != nil {
		return "", false // skr refuses it and says why
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return "", false
	}
	for name, value := range members {
		if strings.EqualFold(name, "certcache") && strings.Contains(string(value), "169.254.169.254") {
			delete(members, name)
			found = true
		}
	}
	if !found || len(members) == 0 {
		return "", found
	}
	if data, err = json.Marshal(members); err != nil {
		return "", false
	}
	return base64.StdEncoding.EncodeToString(data), true
}
