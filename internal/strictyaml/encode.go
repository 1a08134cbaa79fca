package strictyaml

import (
	"bytes"
	"encoding/json"

	"go.yaml.in/yaml/v3"
)

// Encode returns v as a YAML document with the names, the order and the omissions of its JSON.
func Encode(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil { // JSON is a part of YAML
		return nil, err
	}
	block(&root)
	var document bytes.Buffer
	encoder := yaml.NewEncoder(&document)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(&root); err != nil {
		return nil, err
	}
	return document.Bytes(), encoder.Close()
}

// block removes the style of JSON: braces, and quotes that YAML does not need.
func block(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		block(child)
	}
}
