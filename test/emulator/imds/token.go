package imds

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// tokenAnswer has every member as a string, as in the service's answers.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	ClientID     string `json:"client_id"`
	ExpiresIn    string `json:"expires_in"`
	ExpiresOn    string `json:"expires_on"`
	NotBefore    string `json:"not_before"`
	RefreshToken string `json:"refresh_token"`
	Resource     string `json:"resource"`
	TokenType    string `json:"token_type"`
}

func (s *service) token(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	resource := q.Get("resource")
	switch {
	case q.Get("api-version") == "":
		write(w, http.StatusBadRequest, failure{"bad_request_104", "Required query variable 'api-version' is missing"})
		return
	case resource == "":
		write(w, http.StatusBadRequest, failure{"invalid_request", "Required query variable 'resource' is missing"})
		return
	}
	// Libraries send mi_res_id or msi_res_id (Azure documentation, "How to use managed
	// identities for Azure resources on an Azure VM to acquire an access token").
	of := Identity{q.Get("client_id"), q.Get("object_id"), cmp.Or(q.Get("mi_res_id"), q.Get("msi_res_id"))}
	token, err := s.identities.ManagedIdentityToken(resource, of)
	if err != nil {
		refuse(w, resource, err)
		return
	}
	write(w, http.StatusOK, tokenAnswer{
		AccessToken: token.Value,
		ClientID:    token.ClientID,
		ExpiresIn:   strconv.Itoa(int(token.Expires.Sub(token.NotBefore).Seconds())),
		ExpiresOn:   strconv.FormatInt(token.Expires.Unix(), 10),
		NotBefore:   strconv.FormatInt(token.NotBefore.Unix(), 10),
		Resource:    resource,
		TokenType:   "Bearer",
	})
}

func refuse(w http.ResponseWriter, resource string, err error) {
	switch {
	case errors.Is(err, ErrNoIdentity):
		write(w, http.StatusBadRequest, failure{"invalid_request", "Identity not found"})
	case errors.Is(err, ErrUnknownResource):
		write(w, http.StatusBadRequest, failure{"invalid_resource", fmt.Sprintf("AADSTS50001: The application named %s was not found in the tenant.", resource)})
	default:
		write(w, http.StatusInternalServerError, failure{"unknown", err.Error()})
	}
}
