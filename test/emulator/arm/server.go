// Package arm emulates of Azure Resource Manager what a client needs to sign in: the list of
// subscriptions, which is empty. There are no resources, so requests below a subscription get the
// answer for an unknown subscription.
//
// Sources: Azure REST API, "Subscriptions - List"; Azure documentation, "Common Azure Resource
// Manager deployment errors" for the codes.
package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// New returns the service. Authorize returns an error if an access token does not open it.
func New(authorize func(token string) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /subscriptions", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, map[string]any{"value": []any{}, "count": map[string]any{"type": "Total", "value": 0}})
	})
	mux.HandleFunc("/subscriptions/{id}/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "SubscriptionNotFound", fmt.Sprintf("The subscription '%.60s' could not be found.", r.PathValue("id")))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "MissingSubscription",
			"The request did not have a subscription or a valid tenant level resource provider.")
	})
	return authorized(authorize, mux)
}

// authorized requires an access token and an api-version, of which it accepts every one.
func authorized(authorize func(token string) error, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case !found:
			refuse(w, http.StatusUnauthorized, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
		case authorize(token) != nil:
			refuse(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "The access token is invalid.")
		case r.URL.Query().Get("api-version") == "":
			refuse(w, http.StatusBadRequest, "MissingApiVersionParameter",
				"The api-version query parameter (?api-version=) is required for all requests.")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	write(w, status, map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func write(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}
