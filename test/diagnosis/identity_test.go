package diagnosis

import (
	"strings"
	"testing"
)

// asWorkload gives the pod its workload identity without some of the variables.
func asWorkload(without ...string) func(*testing.T, *ward, *situation) {
	return workload(func(_ *ward, assigned []string) (kept []string) {
		for _, a := range assigned {
			name, _, _ := strings.Cut(a, "=")
			for _, gone := range without {
				if name == gone {
					a = name + "=" // a webhook injects this if the annotation is missing
				}
			}
			kept = append(kept, a)
		}
		return kept
	})
}

// identities are faults of identities, with the services' own answers.
var identities = []misconfiguration{
	{name: "the service account lacks the annotation with the client ID", wrong: asWorkload("AZURE_CLIENT_ID"),
		words: "AZURE_CLIENT_ID is missing, which a workload identity needs", exit: 2},
	{name: "the tenant of the workload identity is missing", wrong: asWorkload("AZURE_TENANT_ID"),
		words: "AZURE_TENANT_ID is missing, which a workload identity needs", exit: 2},
	{name: "the pod has no label for the workload identity", wrong: asWorkload("AZURE_FEDERATED_TOKEN_FILE"),
		words: "AZURE_FEDERATED_TOKEN_FILE is missing, which a workload identity needs", exit: 2},
	{name: "`authority_host` is not https", wrong: workload(replace("AZURE_AUTHORITY_HOST", "http://login.microsoftonline.com")),
		words: "is not an https URL", exit: 2},

	{name: "the machine has several user-assigned identities, and none is named", fault: "imds/token:answer=imds-multiple",
		check: "identity", words: "Multiple user assigned identities exist", fix: "set client_id", exit: 3},
	{name: "the user-assigned identity is not assigned to the machine", wrong: env("AZURE_CLIENT_ID=00000000-0000-0000-0000-000000000009"),
		check: "identity", words: "Identity not found", fix: "check client_id", exit: 3},
	{name: "the instance metadata service does not recognise the caller", fault: "imds/token:answer=imds-unknown-source",
		check: "identity", words: "unknown_source", fix: "assign that identity", exit: 3},
	{name: "the instance metadata service is being updated", fault: "imds/token:status=410",
		check: "identity", words: "is being updated or is not ready", fix: "try again", exit: 4},
	{name: "a network policy answers instead of the instance metadata service", fault: "imds/token:status=403",
		check: "identity", words: "no access token", fix: "a network policy or a proxy", exit: 3},
	{name: "the instance metadata service throttles", fault: "imds/token:status=429",
		check: "identity", words: "is throttling requests", fix: "try again later", exit: 4},
	{name: "another server answers instead of the instance metadata service", fault: "imds/token:not-json",
		check: "identity", words: "could not be read", fix: "which server answers there", exit: 6},
	{name: "a portal redirects requests for the instance metadata service", fault: "imds/token:redirect=http://portal.localhost/",
		check: "identity", words: "answered with a redirect", fix: "check its address", exit: 6},

	entra("the identity has no federated credential", "entra-no-credential", "AADSTS70021", "add a federated credential"),
	entra("the federated credential is for another service account", "entra-other-subject", "AADSTS700213", "add a federated credential"),
	entra("the federated credential is for another cluster", "entra-other-issuer", "AADSTS700211", "correct the issuer"),
	entra("the projected token is for another audience", "entra-other-audience", "AADSTS700212", "api://AzureADTokenExchange"),
	entra("the projected token has expired", "entra-stale-assertion", "AADSTS700024", "is renewed by kubelet"),
	entra("the keys of the projected token's cluster changed", "entra-bad-signature", "AADSTS50013", "does not verify with the issuer's keys"),
	entra("the application is disabled", "entra-disabled", "AADSTS7000112", "enable the application"),
	entra("the vault's audience belongs to another cloud", "entra-no-resource", "AADSTS500011", "check the audience of vault_allow"),
	entra("conditional access blocks the pod", "entra-conditional", "AADSTS53003", "conditional access policy"),
	{name: "Entra ID is down", wrong: asWorkload(), fault: "entra/token:status=503",
		check: "identity", words: "Entra ID is failing", fix: "try again", exit: 4},
	{name: "Entra ID throttles", wrong: asWorkload(), fault: "entra/token:status=429",
		check: "identity", words: "Entra ID is throttling", fix: "try again", exit: 4},

	authority("the authority's policy denies the machine", "answer=maa-policy", "PolicyEvaluationError", "compare the policy's authorization rules", 3),
	authority("the authority's policy cannot be read", "answer=maa-parsing", "PolicyParsingError", "correct the policy of the instance", 3),
	authority("the authority finds the evidence malformed", "answer=maa-evidence", "InvalidParameter", "check that the certificates match", 3),
	authority("the authority does not serve this kind of machine", "answer=maa-operation", "InvalidOperation", "check that it serves this kind", 3),
	authority("the authority's network rules block the pod", "answer=maa-network", "Access denied by network rules", "check the instance's network rules", 3),
	authority("the authority asks for credentials", "answer=maa-login", "asks for credentials", "check the endpoint", 3),
	authority("another server in place of the authority has no such route", "status=404", "answered with status 404",
		"check that it is an attestation endpoint", 6),
	authority("another server answers instead of the authority", "not-json", "its answer is not JSON", "which server answers there", 6),
	authority("the authority's token has expired", "forge=expired", "its token has expired", "check this machine's clock", 6),

	release("the vault's firewall blocks the pod", "vault-firewall", "firewall does not let this address in", "allow it, or use a private endpoint"),
	release("the vault is closed to the public network", "vault-private", "closed to the public network", "use its private endpoint"),
	release("the identity has no role in the vault", "vault-rbac", "no role that allows a release", "Key Vault Crypto Service Release User"),
	release("the vault's access policy has no permission to release", "vault-permission", "no permission to release keys", "add release to its key permissions"),
	release("the vault has the standard tier", "vault-standard", "premium vault or a managed HSM", "this vault is of the standard tier"),
	release("the vault cannot verify the token", "vault-unverified", "cannot verify the attestation token", "check that the release policy names the authority"),
	release("the key was disabled in the meantime", "vault-disabled", "the key is disabled", "enable it, or name another version"),
}

func entra(name, answer, words, fix string) misconfiguration {
	return misconfiguration{name: name, wrong: asWorkload(), fault: "entra/token:answer=" + answer, check: "identity", words: words, fix: fix, exit: 3}
}

func authority(name, fault, words, fix string, exit int) misconfiguration {
	return misconfiguration{name: name, fault: "maa/attest:" + fault, check: "attestation", words: words, fix: fix, exit: exit}
}

func release(name, answer, words, fix string) misconfiguration {
	return misconfiguration{name: name, fault: "vault/release:answer=" + answer, check: "release", words: words, fix: fix, exit: 3}
}
