package e2e

import (
	"net/http"
	"slices"
	"testing"

	"skr/api"
	"skr/test/emulator"
)

// loginThat serves the endpoints of a login service, and answers assertions with answer.
func loginThat(host string, answer http.HandlerFunc) http.HandlerFunc {
	login := "https://" + host
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			text(200, `{"token_endpoint":"`+login+`/t/oauth2/v2.0/token","authorization_endpoint":"`+login+`/t/authorize","issuer":"`+login+`/t/v2.0"}`)(w, r)
			return
		}
		answer(w, r)
	}
}

// TestHostileLogin: the client assertion is a secret too.
func TestHostileLogin(t *testing.T) {
	t.Parallel()
	lab := newLab(t, emulator.Config{})
	identity := workloadIdentity(t, lab.cloud)
	for name, c := range map[string]struct {
		status int
		form   string
		want   api.Code
	}{
		"error":       {400, `{"error":"invalid_client","error_description":%s}`, api.ReleaseRejected},
		"page":        {401, `<html>%s`, api.ReleaseRejected},
		"200 page":    {200, `<html>%s`, api.UntrustedResponse},
		"200 error":   {200, `{"error":"invalid_client","error_description":%s}`, api.UntrustedResponse},
		"echoed type": {200, `{"access_token":"","token_type":%s}`, api.UntrustedResponse},
	} {
		t.Run(name, func(t *testing.T) {
			stranger := newStub(t, lab.cloud)
			login := "login.localhost:" + stranger.port
			stranger.say(login, loginThat(login, echo(c.status, c.form)))
			s := lab.sidecar(t, append(slices.Clone(identity), "AZURE_AUTHORITY_HOST=https://"+login+"/")...)
			request := lab.request()
			request.AccessToken = nil
			lab.expect(t, s, request, c.want)
			lab.expect(t, s, lab.request(), served) // with the caller's own token
		})
	}
}
