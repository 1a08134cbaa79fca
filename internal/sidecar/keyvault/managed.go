package keyvault

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// managedPath is where clients get the token as that of a managed identity: the path of
// IDENTITY_ENDPOINT.
const managedPath = "/msi/token"

// managedLife is how long clients keep the token, which the next start of skr changes.
const managedLife = time.Hour

// managed answers a client that gets its token as on Azure App Service
// (learn.microsoft.com/azure/app-service/overview-managed-identity, "REST endpoint reference").
// Tools that accept no other credential then work unchanged. The answer is the token that the
// client has sent in X-Identity-Header, so it proves no more and gives the client nothing new.
func (i *Identity) managed(r *http.Request, now time.Time) answer {
	if r.Method != http.MethodGet {
		return fault(http.StatusNotFound, "NotFound", "use GET "+managedPath)
	}
	token := r.Header.Get("X-Identity-Header")
	if token == "" || !i.accepts(token) {
		return fault(http.StatusUnauthorized, "Unauthorized",
			"set IDENTITY_HEADER to the token in the file token of crypto_dir, or to that of an access rule")
	}
	text, err := json.Marshal(map[string]string{
		"access_token": token, "token_type": "Bearer", "resource": r.URL.Query().Get("resource"),
		"expires_on": strconv.FormatInt(now.Add(managedLife).Unix(), 10),
	})
	if err != nil {
		return fault(http.StatusInternalServerError, "InternalServerError", "the token cannot be written")
	}
	return answer{status: http.StatusOK, header: http.Header{}, body: text}
}

// azureResource is the resource of the vault's own challenge.
const azureResource = "https://vault.azure.net"

// resourceOf returns the resource that a challenge names. Clients compare it with the host that
// they ask, which must be a name below that of the resource, such as keys.localhost:8443 below
// localhost:8443. For an address and for localhost there is no such resource.
func resourceOf(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	_, above, below := strings.Cut(host, ".")
	if !below || net.ParseIP(strings.Trim(name, "[]")) != nil {
		return azureResource
	}
	return (&url.URL{Scheme: "https", Host: strings.ToLower(above)}).String()
}
