package vault

import (
	"fmt"
	"net/http"
	"strings"
)

// fault is an error answer. Texts are Azure's, from the recordings of the Azure
// SDKs and from public issue reports. A text from neither source is marked
// UNCONFIRMED.
type fault struct {
	status    int
	code      string
	inner     string // the code of "innererror", or ""
	message   string
	challenge string
	empty     bool // no body
}

func (f *fault) Error() string { return f.code + ": " + f.message }

// faultAnswer words a fault as the flavour does: Managed HSM ends each message
// with an activity id.
func (v *Vault) faultAnswer(f *fault) answer {
	a := answer{status: f.status, challenge: f.challenge}
	if f.empty {
		return a
	}
	message := f.message
	if v.managedHSM() {
		message += " (Activity ID: " + newGUID() + ")"
	}
	inside := object{{"code", f.code}, {"message", message}}
	if f.inner != "" {
		inside = inside.with("innererror", object{{"code", f.inner}})
	}
	a.body = object{{"error", inside}}
	return a
}

func badParameter(format string, args ...any) error {
	return &fault{status: http.StatusBadRequest, code: "BadParameter", message: fmt.Sprintf(format, args...)}
}

func forbidden(inner, format string, args ...any) error {
	return &fault{status: http.StatusForbidden, code: "Forbidden", inner: inner, message: fmt.Sprintf(format, args...)}
}

// faultRelease returns the fault of a violated secure key release rule. Managed
// HSM omits the number.
func (v *Vault) faultRelease(number int, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if !v.managedHSM() {
		text = fmt.Sprintf("AKV.SKR.%d: %s", number, text)
	}
	return badParameter("%s", text)
}

func (v *Vault) faultUnauthorized(message string) error {
	return &fault{
		status: http.StatusUnauthorized, code: "Unauthorized", message: message,
		challenge: fmt.Sprintf(`Bearer authorization="%s", resource="%s"`, v.config.AuthorizationURL, v.config.Resource),
		empty:     v.managedHSM(),
	}
}

func (v *Vault) faultDenied(c Caller, action, name string) error {
	issuer := c.Issuer
	if issuer == "" {
		issuer = "https://sts.windows.net/" + v.config.Tenant + "/"
	}
	who := fmt.Sprintf("appid=%s;oid=%s;iss=%s", c.AppID, c.ObjectID, issuer)
	where := v.name() + ";location=" + v.config.Region
	if v.config.AccessPolicies {
		verb := strings.Split(strings.TrimSuffix(action, "/action"), "/")
		return forbidden("AccessDenied", "The user, group or application '%s' does not have keys %s permission on key vault '%s'. "+
			"For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287", who, verb[len(verb)-1], where)
	}
	return forbidden("ForbiddenByRbac", "Caller is not authorized to perform action on resource.\r\n"+
		"If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\n"+
		"Caller: %s\r\nAction: '%s'\r\nResource: '%s'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\n"+
		"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: %s\r\n", who, action, v.resource(name), where)
}

// resource returns the key's id in Azure Resource Manager, in an invented
// subscription.
func (v *Vault) resource(name string) string {
	id := "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/emulated/providers/microsoft.keyvault/vaults/" + v.name()
	if name != "" {
		id += "/keys/" + name
	}
	return id
}

func (v *Vault) faultKeyNotFound(id string) error {
	message := "A key with (name/id) " + id + " was not found in this key vault. If you recently deleted this key you may be able to " +
		"recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
	if v.managedHSM() {
		message = "Key not found: " + v.url("keys/"+id)
	}
	return &fault{status: http.StatusNotFound, code: "KeyNotFound", message: message}
}

func faultDeletedNotFound(name string) error {
	return &fault{status: http.StatusNotFound, code: "KeyNotFound", message: "Deleted Key not found: " + name}
}

func conflict(inner, format string, args ...any) error {
	return &fault{status: http.StatusConflict, code: "Conflict", inner: inner, message: fmt.Sprintf(format, args...)}
}

// faultRestoring returns the recorded fault of a restore whose name is in use.
func faultRestoring(kid string) error {
	return conflict("", "There was a conflict restoring the key '%s'. This can happen if either: a second key with the same name was "+
		"created after the first key was deleted; thus trying to restore a key whose name is already in use. To fix this, rename the "+
		"second key to something else so that the restore works. The second probable cause of this exception is when multiple operations "+
		"are performed in parallel against the key. To avoid this error, perform operations against a key in a sequential manner.", kid)
}

// faultProtected returns the fault of a purge that purge protection refuses, as
// public issue reports quote it.
func (v *Vault) faultProtected() error {
	return forbidden("", `Operation "purge" is not allowed because purge protection is enabled for this vault. `+
		"Key Vault service will automatically purge it after the retention period has passed.\r\nVault: %s;location=%s", v.name(), v.config.Region)
}

func (v *Vault) faultName(name string) error {
	if v.managedHSM() {
		return badParameter("Invalid key identifier or name %s", name) // UNCONFIRMED after "name"
	}
	return badParameter("The request URI contains an invalid name: %s", name)
}

// faultAPIVersion returns the fault of a version. The second text is from
// public issue reports; the first is UNCONFIRMED.
func faultAPIVersion(version string) error {
	if version == "" {
		return badParameter("api-version must be specified")
	}
	return badParameter("The specified version (%s) is not recognized. Consider using the latest supported version (%s).",
		version, apiVersions[len(apiVersions)-1])
}

// The faults below are UNCONFIRMED in status and text.

func faultNoRoute() error {
	return &fault{status: http.StatusNotFound, code: "NotFound", message: "The emulator does not serve this request URI."}
}

func faultTooLarge() error {
	return &fault{status: http.StatusRequestEntityTooLarge, code: "BadParameter", message: "The request body is too large."}
}

func faultInternal() *fault {
	return &fault{status: http.StatusInternalServerError, code: "InternalServerError", message: "The emulator could not finish the request."}
}
