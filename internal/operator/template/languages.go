package template

import (
	"fmt"
	"strings"
)

// The resource of a key and the version of its interface (Azure/bicep-types-az,
// generated/keyvault/microsoft.keyvault/2026-02-01: vaults/keys, KeyProperties).
const (
	resourceType = "Microsoft.KeyVault/vaults/keys"
	apiVersion   = "2026-02-01"
)

func bicep(policy string) []byte {
	return fmt.Appendf(nil, `param vaultName string
param keyName string

resource vault 'Microsoft.KeyVault/vaults@%s' existing = {
  name: vaultName
}

%sresource key '%s@%s' = {
  parent: vault
  name: keyName
  properties: {
    kty: '%s'
    keySize: %d
    keyOps: [
      %s
    ]
    attributes: {
      enabled: true
      exportable: true
    }
    release_policy: {
      contentType: '%s'
      data: '%s'
    }
  }
}
`, apiVersion, comment("//", policy), resourceType, apiVersion, keyType, keySize, quoted("'", "\n      "), contentType, encode(policy))
}

// variables of both Terraform texts.
const variables = `variable "key_vault_id" {
  type = string
}

variable "key_name" {
  type = string
}
`

// azurerm has the block release_policy since May 2026 (hashicorp/terraform-provider-azurerm
// #32478), with the members json and immutable. The provider makes such keys exportable.
func azurerm(policy string) []byte {
	return fmt.Appendf(nil, `%s
resource "azurerm_key_vault_key" "key" {
  name         = var.key_name
  key_vault_id = var.key_vault_id
  key_type     = "%s"
  key_size     = %d
  key_opts     = [%s]

  release_policy {
    json = <<-POLICY
%s
    POLICY
  }
}
`, variables, keyType, keySize, quoted(`"`, ", "), indent(literal(policy)))
}

// literal escapes what begins a template in HCL (HCL Native Syntax Specification, Template
// Expressions).
func literal(text string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(text)
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

func azapi(policy string) []byte {
	return fmt.Appendf(nil, `%s
%sresource "azapi_resource" "key" {
  type      = "%s@%s"
  name      = var.key_name
  parent_id = var.key_vault_id

  body = {
    properties = {
      kty     = "%s"
      keySize = %d
      keyOps  = [%s]
      attributes = {
        enabled    = true
        exportable = true
      }
      release_policy = {
        contentType = "%s"
        data        = "%s"
      }
    }
  }
}
`, variables, comment("#", policy), resourceType, apiVersion, keyType, keySize, quoted(`"`, ", "), contentType, encode(policy))
}

// script writes a policy file and the command that reads it (Azure CLI, az keyvault key
// create). The policy is JSON, of which no line is the word that ends the file.
func script(policy string) []byte {
	return fmt.Appendf(nil, `# Set VAULT and KEY to the names of the vault and of the key.
cat >release-policy.json <<'POLICY'
%s
POLICY
az keyvault key create --vault-name "$VAULT" --name "$KEY" --kty %s --size %d --ops %s \
    --exportable true --policy release-policy.json
`, policy, keyType, keySize, strings.Join(operations, " "))
}
