package api

import (
	"net/http"
	"testing"
)

// Any status other than 200 becomes an Error with that status.
func FuzzRead(f *testing.F) {
	f.Add(200, "", []byte(`{"key":"{}"}`))
	f.Add(503, "3", []byte(`{"error":"throttled","code":"throttled","request_id":"r"}`))
	f.Add(403, "-1", []byte(`{"error":{}}{"key":""}`))
	f.Add(204, "99999999999999999999", []byte(nil))
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		got := response{status, http.Header{"Retry-After": {retryAfter}}, body}
		var into ReleaseResponse
		err := got.result(&into)
		refused, ok := err.(*Error) //nolint:errorlint // result does not wrap it
		switch {
		case status == http.StatusOK && ok:
			t.Errorf("200 became %v", refused)
		case status != http.StatusOK && (!ok || refused.Status != status || refused.RetryAfter < 0 || refused.Message == "" && refused.Code == ""):
			t.Errorf("status %d became %v", status, err)
		}
	})
}
