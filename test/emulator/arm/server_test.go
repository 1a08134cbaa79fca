package arm_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"skr/test/emulator/arm"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	service := arm.New(func(token string) error {
		if token != "good" {
			return errors.New("not good")
		}
		return nil
	})
	const version = "?api-version=2022-12-01"
	for _, c := range []struct {
		name, method, target, token, want string
		status                            int
	}{
		{"subscriptions", http.MethodGet, "/subscriptions" + version, "Bearer good", `"value":[]`, http.StatusOK},
		{"a resource", http.MethodPut, "/subscriptions/x/resourceGroups/y" + version, "Bearer good", "SubscriptionNotFound", http.StatusNotFound},
		{"another path", http.MethodGet, "/tenants" + version, "Bearer good", "MissingSubscription", http.StatusNotFound},
		{"no version", http.MethodGet, "/subscriptions", "Bearer good", "MissingApiVersionParameter", http.StatusBadRequest},
		{"no token", http.MethodGet, "/subscriptions" + version, "", "AuthenticationFailed", http.StatusUnauthorized},
		{"a wrong token", http.MethodGet, "/subscriptions" + version, "Bearer bad", "InvalidAuthenticationToken", http.StatusUnauthorized},
	} {
		request := httptest.NewRequest(c.method, c.target, nil)
		request.Header.Set("Authorization", c.token)
		answer := httptest.NewRecorder()
		service.ServeHTTP(answer, request)
		if answer.Code != c.status || !strings.Contains(answer.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.name, answer.Code, answer.Body, c.status, c.want)
		}
	}
}
