package entra

import (
	"net/http"
	"strings"
)

// refusals lists what an operator can do about a refusal, by the code of Entra ID or by words of the
// description in lower case. The codes are from "Microsoft Entra authentication and authorization error
// codes", the words from IMDS (Azure, "How to use managed identities … to acquire an access token",
// error handling).
var refusals = []struct{ aadsts, words, do string }{
	{"", "multiple user assigned identities",
		"set client_id (AZURE_CLIENT_ID) to the client id of the identity that may release the key: this machine has several"},
	{"", "identity not found",
		"assign the identity to the pod's container group or virtual machine, and if it is a user-assigned one, check client_id (AZURE_CLIENT_ID)"},
	{"AADSTS70021", "", "add a federated credential with the issuer and the subject of the pod's service account to the identity"},
	{"AADSTS700213", "", "add a federated credential with the issuer and the subject of the pod's service account to the identity"},
	{"AADSTS700211", "", "correct the issuer of the federated credential: it must be the cluster's OIDC issuer URL, to the last slash"},
	{"AADSTS700212", "", "correct the audience of the federated credential, or of the projected token: api://AzureADTokenExchange"},
	{"AADSTS700024", "", "check this machine's clock, and that federated_token_file is renewed by kubelet: its token is not valid now"},
	{"AADSTS50013", "", "check that federated_token_file (AZURE_FEDERATED_TOKEN_FILE) is this cluster's: its signature does not verify with the issuer's keys"},
	{"AADSTS700016", "", "check client_id (AZURE_CLIENT_ID) and tenant_id (AZURE_TENANT_ID): the tenant has no such application"},
	{"AADSTS7000112", "", "enable the application of client_id (AZURE_CLIENT_ID): it is disabled"},
	{"AADSTS90002", "", "check tenant_id (AZURE_TENANT_ID): there is no such tenant, or it is in another cloud than authority_host"},
	{"AADSTS900023", "", "check tenant_id (AZURE_TENANT_ID): it is neither a GUID nor a domain name"},
	{"AADSTS500011", "", "check the audience of vault_allow, and that the vault's cloud is that of authority_host"},
	{"AADSTS50001", "", "check the audience of vault_allow, and that the vault's cloud is that of the machine"},
	{"AADSTS53003", "", "have the conditional access policy for workload identities let this address in"},
}

// adviceFor returns advice for an answer, or the general advice of the identity.
func (id identity) adviceFor(last *answer) string {
	if id.explain != nil {
		return id.advice // a person needs the right login first
	}
	text := strings.ToLower(last.text)
	for _, r := range refusals {
		if r.aadsts != "" && r.aadsts == last.aadsts || r.words != "" && strings.Contains(text, r.words) {
			return r.do
		}
	}
	if id.kind == managed && last.status == http.StatusForbidden {
		return "let the pod reach the instance metadata service: a network policy or a proxy answers in its place; or pass access_token"
	}
	return id.advice
}
