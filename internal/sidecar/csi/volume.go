package csi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"skr/internal/jose/jws"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/strictjson"
)

// The names of the attributes that kubelet and the driver add (kubernetes-csi.github.io,
// "Pod Info on Mount", "CSIDriver Object: tokenRequests"; the driver's pkg/secrets-store/nodeserver.go).
const (
	podName        = "csi.storage.k8s.io/pod.name"
	podNamespace   = "csi.storage.k8s.io/pod.namespace"
	podUID         = "csi.storage.k8s.io/pod.uid"
	serviceAccount = "csi.storage.k8s.io/serviceAccount.name"
	accountTokens  = "csi.storage.k8s.io/serviceAccount.tokens" //nolint:gosec // a name
	ephemeral      = "csi.storage.k8s.io/ephemeral"
)

// The parameters of a SecretProviderClass.
const (
	clientID = "clientID"
	tenantID = "tenantID"
	objects  = "objects"
)

const (
	// audiencePrefix begins the audiences that Entra ID accepts from federated identities:
	// each cloud has its own ending (Microsoft Entra, "Workload identity federation").
	audiencePrefix = "api://AzureADTokenExchange"
	maxToken       = 64 << 10
)

// volume is what a pod mounts, with the pod's identity.
type volume struct {
	namespace, pod, uid, account string

	client, tenant string
	token          secmem.Text // of the pod's service account
	objects        []object
}

// parse returns the volume that a request of the driver describes. attributes and secrets are
// its JSON texts.
func parse(attributes, secrets string) (v volume, err error) {
	given, err := stringsOf("attributes", attributes)
	if err != nil {
		return v, err
	}
	hidden, err := stringsOf("secrets", secrets)
	if err != nil {
		return v, err
	}
	if err := checkNames(given, hidden); err != nil {
		return v, err
	}
	v = volume{
		namespace: given[podNamespace], pod: given[podName], uid: given[podUID], account: given[serviceAccount],
		client: given[clientID], tenant: given[tenantID],
	}
	if err := v.identify(given, hidden); err != nil {
		return v, err
	}
	v.objects, err = parseObjects(given[objects])
	return v, err
}

// stringsOf parses a JSON object of strings. A driver without secrets sends null or nothing.
func stringsOf(name, text string) (map[string]string, error) {
	if text == "" || text == "null" {
		return nil, nil //nolint:nilnil // a nil map has no members
	}
	var members map[string]string
	if err := (strictjson.Decoder{}).Decode([]byte(text), &members); err != nil {
		return nil, refusal.Newf(refusal.BadRequest, "the %s of the volume are not a JSON object of strings", name)
	}
	return members, nil
}

// checkNames refuses parameters that skr does not have: a misspelt one would have no effect.
// Names with a slash belong to Kubernetes and the driver.
func checkNames(given, hidden map[string]string) error {
	for name := range given {
		switch {
		case name == clientID, name == tenantID, name == objects:
		case name == "secretProviderClass", name == "providerName", strings.Contains(name, "/"):
		default:
			return refusal.Newf(refusal.BadRequest, "parameter %.80q of the SecretProviderClass is unknown; use %s, %s and %s", name, clientID, tenantID, objects)
		}
	}
	for name := range hidden {
		if !strings.Contains(name, "/") {
			return refusal.Newf(refusal.BadRequest, "the volume has nodePublishSecretRef; remove it: skr uses only the identity of the pod's service account")
		}
	}
	if value, found := given[ephemeral]; found && value != "true" {
		return refusal.Newf(refusal.BadRequest, "the volume is persistent; use an inline csi volume in the pod")
	}
	return nil
}

// identify sets the token of the pod's service account, and checks that nothing is missing.
func (v *volume) identify(given, hidden map[string]string) (err error) {
	for _, name := range []string{podName, podNamespace, podUID, serviceAccount} {
		if given[name] == "" {
			return refusal.Newf(refusal.BadRequest, "attribute %s is missing; the CSIDriver secrets-store.csi.k8s.io must have podInfoOnMount: true", name)
		}
	}
	for _, name := range []string{clientID, tenantID} {
		if given[name] == "" {
			return refusal.Newf(refusal.BadRequest, "parameter %s is missing; set it to that of the identity that trusts the pod's service account: "+
				"the identity of the node is never used", name)
		}
	}
	tokens := hidden[accountTokens]
	if tokens == "" {
		tokens = given[accountTokens]
	}
	if v.token, err = tokenFor(tokens); err != nil {
		return err
	}
	return v.checkToken()
}

// tokenFor returns the token for Entra ID: with several, always the same one.
func tokenFor(text string) (secmem.Text, error) {
	missing := refusal.Newf(refusal.BadRequest, "the driver sent no service account token for the audience %s; "+
		"add it to tokenRequests of the CSIDriver secrets-store.csi.k8s.io", audiencePrefix)
	if text == "" {
		return secmem.Text{}, missing
	}
	var tokens map[string]struct {
		Token secmem.Text `json:"token"`
	}
	if err := (strictjson.Decoder{}).Decode([]byte(text), &tokens); err != nil {
		return secmem.Text{}, refusal.Newf(refusal.BadRequest, "attribute %s is not JSON of tokens by audience", accountTokens)
	}
	// The audience of the public cloud is the first in this order.
	for _, audience := range slices.Sorted(maps.Keys(tokens)) {
		if token := tokens[audience].Token; strings.HasPrefix(audience, audiencePrefix) && !token.IsZero() {
			return token, nil
		}
	}
	return secmem.Text{}, missing
}

// checkToken refuses a token that is not this pod's. Entra ID verifies the signature; the claims
// are compared here because volume attributes may contain any token.
func (v *volume) checkToken() error {
	notMine := refusal.Newf(refusal.CallerNotAllowed, "the service account token is not the one of pod %s/%s with service account %s; "+
		"remove %s from the SecretProviderClass and the volume attributes", v.namespace, v.pod, v.account, accountTokens)
	signed, err := jws.Parse(v.token.Reveal(), maxToken)
	if err != nil {
		return refusal.Newf(refusal.BadRequest, "the service account token is not a JWT")
	}
	var claims struct {
		Subject    string `json:"sub"`
		Kubernetes struct {
			Pod struct {
				UID string `json:"uid"`
			} `json:"pod"`
		} `json:"kubernetes.io"`
	}
	if err := json.Unmarshal(signed.Payload, &claims); err != nil {
		return refusal.Newf(refusal.BadRequest, "the service account token is not a JWT")
	}
	if claims.Subject != fmt.Sprintf("system:serviceaccount:%s:%s", v.namespace, v.account) {
		return notMine
	}
	if uid := claims.Kubernetes.Pod.UID; uid != "" && uid != v.uid {
		return notMine
	}
	return nil
}
