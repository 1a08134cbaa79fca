// Package template writes the key that a release policy belongs to in the languages of tools
// that create Azure resources:
//
//	text, err := template.Write(template.Bicep, policy)
//
// Each text creates an exportable RSA-HSM key with the policy in a premium key vault. The
// vault and the name of the key are parameters of the text. Policies with blanks and line
// breaks keep them, byte for byte.
//
// The package does not create keys: package provision does.
package template

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"skr/releasepolicy"
)

// Tool is a tool that creates keys, by the name that skrctl gives it.
type Tool string

// The tools.
const (
	ARM       Tool = "arm"       // a template of Azure Resource Manager
	Bicep     Tool = "bicep"     // the same in Bicep
	Terraform Tool = "terraform" // the provider azurerm
	AzAPI     Tool = "azapi"     // Terraform with the provider azapi
	CLI       Tool = "az"        // a script for the Azure CLI
)

// Tools returns all tools.
func Tools() []Tool { return []Tool{Bicep, Terraform, AzAPI, ARM, CLI} }

// ParseTool reads the name of a tool.
func ParseTool(name string) (Tool, error) {
	if tool := Tool(name); slices.Contains(Tools(), tool) {
		return tool, nil
	}
	return "", fmt.Errorf("%q is none of %s", name, names())
}

func names() string {
	words := make([]string, len(Tools()))
	for i, tool := range Tools() {
		words[i] = string(tool)
	}
	return strings.Join(words, ", ")
}

// The key: type, size and operations are those of skrctl key create.
const (
	keyType = "RSA-HSM"
	keySize = 3072

	// contentType is the default of the vaults (Key Vault REST API, KeyReleasePolicy).
	contentType = "application/json; charset=utf-8"
)

var operations = []string{"wrapKey", "unwrapKey", "encrypt", "decrypt"}

// Write returns the text for a tool.
func Write(tool Tool, policy *releasepolicy.Policy) ([]byte, error) {
	raw := strings.TrimSpace(string(policy.Raw()))
	switch tool {
	case ARM:
		return arm(encode(raw))
	case Bicep:
		return bicep(raw), nil
	case Terraform:
		return azurerm(raw), nil
	case AzAPI:
		return azapi(raw), nil
	case CLI:
		return script(raw), nil
	}
	return nil, fmt.Errorf("writing a template: %q is none of %s", tool, names())
}

// encode returns base64url without padding, which release_policy.data is (Key Vault REST
// API, KeyReleasePolicy).
func encode(policy string) string { return base64.RawURLEncoding.EncodeToString([]byte(policy)) }

// quoted returns the operations as a list of strings in a quotation mark.
func quoted(mark, separator string) string {
	words := make([]string, len(operations))
	for i, operation := range operations {
		words[i] = mark + operation + mark
	}
	return strings.Join(words, separator)
}

// comment writes the policy for people beside its encoded form.
func comment(mark, policy string) string {
	return mark + " The release policy, which release_policy.data holds in base64url:\n" +
		mark + " " + strings.ReplaceAll(policy, "\n", "\n"+mark+" ") + "\n"
}

// arm writes a template (Azure Resource Manager templates, Microsoft.KeyVault/vaults/keys).
func arm(data string) ([]byte, error) {
	type object map[string]any
	text, err := json.MarshalIndent(object{
		"$schema":        "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
		"contentVersion": "1.0.0.0",
		"parameters":     object{"vaultName": object{"type": "string"}, "keyName": object{"type": "string"}},
		"resources": []object{{
			"type":       resourceType,
			"apiVersion": apiVersion,
			"name":       "[format('{0}/{1}', parameters('vaultName'), parameters('keyName'))]",
			"properties": object{
				"kty": keyType, "keySize": keySize, "keyOps": operations,
				"attributes":     object{"enabled": true, "exportable": true},
				"release_policy": object{"contentType": contentType, "data": data},
			},
		}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing a template: %w", err)
	}
	return append(text, '\n'), nil
}
