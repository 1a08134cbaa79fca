package stranger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// reply is an answer of the sidecar.
type reply struct {
	status int
	header http.Header
	body   object
	raw    string
}

// post sends JSON as `curl -d` does, with its form content type. It uses curl itself if
// that is installed.
func (s *sidecar) post(t *testing.T, path string, body any) reply {
	t.Helper()
	text := encode(body)
	if curl, err := exec.LookPath("curl"); err == nil {
		return s.curl(t, curl, path, text)
	}
	return s.send(t, http.MethodPost, path, text, nil)
}

func (s *sidecar) curl(t *testing.T, curl, path, text string) reply {
	t.Helper()
	const mark = "\nstatus "
	command := exec.CommandContext(t.Context(), curl, "-sS", "--noproxy", "*", "-w", mark+"%{http_code}", "-d", text, "http://"+s.address()+path)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("curl: %v", err)
	}
	at := bytes.LastIndex(out, []byte(mark))
	status := must(strconv.Atoi(string(out[at+len(mark):])))
	return read(t, status, nil, out[:at])
}

func encode(body any) string { return string(must(json.Marshal(body))) }

// send sends a request that change may modify in every detail.
func (s *sidecar) send(t *testing.T, method, path, text string, bend func(*http.Request)) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	request := must(http.NewRequestWithContext(ctx, method, "http://"+s.address()+path, strings.NewReader(text)))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if bend != nil {
		bend(request)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response.StatusCode, response.Header, raw)
}

// read decodes an answer, which is one JSON object, on success and on refusal.
func read(t *testing.T, status int, header http.Header, raw []byte) reply {
	t.Helper()
	r := reply{status: status, header: header, raw: string(raw)}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if err := decoder.Decode(&r.body); err != nil {
		t.Fatalf("%d %q is not a JSON object: %v", status, raw, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("%q holds more than one JSON value", raw)
	}
	if _, bad := r.body["error"]; bad && status < 300 {
		t.Errorf("an error with status %d: %s", status, raw)
	}
	return r
}

// wantOK ends the test unless the answer is a success.
func (r reply) wantOK(t *testing.T) reply {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.raw)
	}
	return r
}

// wantRefusal checks status, code and form of a refusal.
func (r reply) wantRefusal(t *testing.T, status int, code string) {
	t.Helper()
	if r.status != status || r.body["code"] != code {
		t.Errorf("got %d %s, want %d %s", r.status, strings.TrimSpace(r.raw), status, code)
	}
	for _, name := range []string{"error", "code", "request_id"} {
		if text, ok := r.body[name].(string); !ok || text == "" {
			t.Errorf("%s is not a string in %s", name, r.raw)
		}
	}
	if strings.Contains(r.raw, accessToken) {
		t.Error("the refusal holds the access token")
	}
}

// releaseRequest is the body of the documentation's curl command.
func releaseRequest(changes object) object {
	body := object{"maa_endpoint": authorityName, "akv_endpoint": vaultName, "kid": "k1", "access_token": accessToken}
	for name, value := range changes {
		body[name] = value
	}
	return body
}
