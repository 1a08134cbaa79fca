package fault

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// answer is a service's answer, verbatim where the text is public.
type answer struct {
	status int
	body   string
}

func oauth(status int, code, description string) answer {
	return answer{status, fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, description)}
}

func aadsts(status int, code, number, text string) answer {
	return oauth(status, code, number+": "+text+
		" Trace ID: 00000000-0000-0000-0000-000000000000 Correlation ID: 00000000-0000-0000-0000-000000000000 Timestamp: 2026-11-29 10:00:00Z")
}

func maaError(status int, code, message string) answer {
	return answer{status, fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message)}
}

func vaultError(status int, code, inner, message string) answer {
	return answer{status, fmt.Sprintf(`{"error":{"code":%q,"message":%q,"innererror":{"code":%q}}}`, code, message, inner)}
}

// answers maps the names used in rules to answers. Sources: Azure, "How to use
// managed identities … to acquire an access token"; "Microsoft Entra
// authentication and authorization error codes"; "Azure Attestation
// troubleshooting guide"; "Azure Key Vault REST API error codes".
var answers = map[string]answer{
	"imds-multiple": oauth(http.StatusBadRequest, "invalid_request",
		"Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request"),
	"imds-unknown-source": oauth(http.StatusUnauthorized, "unknown_source", "Unknown Source"),

	"entra-no-credential": aadsts(http.StatusBadRequest, "invalid_request", "AADSTS70021",
		"No matching federated identity record found for presented assertion."),
	"entra-other-subject": aadsts(http.StatusUnauthorized, "invalid_client", "AADSTS700213",
		"No matching federated identity record found for presented assertion subject."),
	"entra-other-issuer": aadsts(http.StatusUnauthorized, "invalid_client", "AADSTS700211",
		"No matching federated identity record found for presented assertion issuer."),
	"entra-other-audience": aadsts(http.StatusUnauthorized, "invalid_client", "AADSTS700212",
		"No matching federated identity record found for presented assertion audience."),
	"entra-stale-assertion": aadsts(http.StatusUnauthorized, "invalid_client", "AADSTS700024",
		"Client assertion is not within its valid time range."),
	"entra-bad-signature": aadsts(http.StatusUnauthorized, "invalid_client", "AADSTS50013",
		"Assertion failed signature validation."),
	"entra-disabled": aadsts(http.StatusUnauthorized, "unauthorized_client", "AADSTS7000112",
		"Application is disabled."),
	"entra-no-resource": aadsts(http.StatusBadRequest, "invalid_resource", "AADSTS500011",
		"The resource principal was not found in the tenant."),
	"entra-conditional": aadsts(http.StatusBadRequest, "invalid_grant", "AADSTS53003",
		"Access has been blocked by Conditional Access policies."),

	"maa-policy":    maaError(http.StatusBadRequest, "PolicyEvaluationError", "Native operation failed with 65518: Policy Evaluation Error has occurred"),
	"maa-parsing":   maaError(http.StatusBadRequest, "PolicyParsingError", "The policy could not be parsed"),
	"maa-evidence":  maaError(http.StatusBadRequest, "InvalidParameter", "The request parameter is invalid"),
	"maa-operation": maaError(http.StatusBadRequest, "InvalidOperation", "The operation is not supported"),
	"maa-network":   maaError(http.StatusForbidden, "Forbidden", "Access denied by network rules"),
	"maa-login":     maaError(http.StatusUnauthorized, "Unauthorized", "The request needs credentials"),

	"vault-firewall": vaultError(http.StatusForbidden, "Forbidden", "ForbiddenByFirewall",
		"Client address is not authorized and caller is not a trusted service."),
	"vault-private": vaultError(http.StatusForbidden, "Forbidden", "ForbiddenByConnection",
		"Public network access is disabled and request is not from a trusted service nor via an approved private link."),
	"vault-rbac":       vaultError(http.StatusForbidden, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource."),
	"vault-permission": vaultError(http.StatusForbidden, "Forbidden", "AccessDenied", "The user does not have keys release permission on key vault."),
	"vault-standard":   vaultError(http.StatusBadRequest, "BadParameter", "", "Secure key release is not supported on standard vault."),
	"vault-unverified": vaultError(http.StatusForbidden, "Forbidden", "", "The attestation token cannot be verified."),
	"vault-disabled":   vaultError(http.StatusForbidden, "Forbidden", "KeyDisabled", "Operation is not allowed on a disabled key."),
}

// Answers returns the names of all answers.
func Answers() []string { return slices.Sorted(maps.Keys(answers)) }

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_, _ = fmt.Fprintln(w, a.body)
}
