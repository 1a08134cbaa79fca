package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"skr/api"
	"skr/internal/jose/jwk"
	"skr/test/emulator"
	"skr/test/program"
)

// formatLab is a sidecar with keys of several types. The log is in a file.
type formatLab struct {
	*sidecar

	log string
}

func newFormatLab(t *testing.T) *formatLab {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "managedhsm")
	var aliases []string
	for name, spec := range map[string]emulator.KeySpec{"rsa": {Size: 2048}, "p256": {Kty: "EC-HSM", Curve: "P-256"}, "aes": {Kty: "oct-HSM", Size: 256}} {
		spec.Name = name
		createKey(t, cloud, vault, spec)
		aliases = append(aliases, fmt.Sprintf(`%q:{"vault":%q,"key":%q,"authority":%q}`, name, vault, name, cloud.AttestationHost()))
	}
	log := filepath.Join(t.TempDir(), "log")
	env := append(cloud.Environment(cloud.Machine()), "SKR_KEYS={"+strings.Join(aliases, ",")+"}",
		"SKR_KEY_CACHE_TTL=1h", "SKR_LOG_LEVEL=debug", "SKR_LOG_FILE="+log)
	return &formatLab{start(t, env).ready(t), log}
}

func (l *formatLab) get(t *testing.T, query string, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.address+"/key/release?"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

// Programs that read files of keys get them without JSON. The key is the same in each format.
func TestKeyFormats(t *testing.T) {
	t.Parallel()
	l := newFormatLab(t)
	text, err := l.client.Release(t.Context(), api.ReleaseRequest{Alias: "p256"})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwk.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	private, err := parsed.PrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	want, ok := private.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("the key is %T", private)
	}
	_, inPEM := l.get(t, "alias=p256&format=pem")
	_, inDER := l.get(t, "alias=p256", "Accept", "application/pkcs8")
	block, _ := pem.Decode([]byte(inPEM))
	if block == nil {
		t.Fatal("no PEM")
	}
	for name, der := range map[string]string{"PEM": string(block.Bytes), "DER": inDER} {
		if key, err := x509.ParsePKCS8PrivateKey([]byte(der)); err != nil || !want.Equal(key) {
			t.Errorf("%s is not the key: %v", name, err)
		}
	}
	if _, alone := l.get(t, "alias=p256", "Accept", "application/jwk+json"); alone != string(text) {
		t.Error("the JWK is not that of the JSON string")
	}
	if response, raw := l.get(t, "alias=aes&format=raw"); len(raw) != 32 || response.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("raw has %d bytes and is %s", len(raw), response.Header.Get("Content-Type"))
	}
	secret, err := l.client.ReleaseAs(t.Context(), api.ReleaseRequest{Alias: "rsa"}, api.FormatPEM)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if checked, err := exec.CommandContext(t.Context(), "openssl", "pkey", "-in", file, "-noout", "-check").CombinedOutput(); err != nil {
		t.Errorf("openssl: %v\n%s", err, checked)
	}
	_, err = l.client.ReleaseAs(t.Context(), api.ReleaseRequest{Alias: "aes"}, api.FormatPEM)
	if refused, ok := errors.AsType[*api.Error](err); !ok || refused.Code != api.BadRequest || !strings.Contains(refused.Message, "no form pem") {
		t.Errorf("a symmetric key as PEM: %v", err)
	}
	if response, body := l.get(t, "alias=rsa", "Accept", "text/html"); response.StatusCode != http.StatusNotAcceptable {
		t.Errorf("HTML: %d %s", response.StatusCode, body)
	}
	logged, err := os.ReadFile(l.log)
	if err != nil || strings.Contains(string(logged), "PRIVATE KEY") || strings.Contains(string(logged), "format=") {
		t.Errorf("the log has a key or a query: %v", err)
	}
}

// An access section, kept keys and the guard against pages hold for GET as for POST.
func TestKeyFormatsAreGuarded(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a-token-of-32-characters-or-more"), 0o600); err != nil {
		t.Fatal(err)
	}
	alias := fmt.Sprintf(`{"vault":%q,"key":"k","authority":%q`, vault, cloud.AttestationHost())
	s := start(t, append(cloud.Environment(cloud.Machine()), `SKR_KEYS={"given":`+alias+`,"versions":["latest"]},"other":`+alias+`}}`,
		`SKR_ACCESS=[{"name":"app","token_file":"`+token+`","routes":["/key/release"],"keys":["given"]}]`)).ready(t)
	l := &formatLab{sidecar: s}
	const bearer = "Bearer a-token-of-32-characters-or-more"
	for name, c := range map[string]struct {
		query  string
		header []string
		status int
	}{
		"allowed":       {"alias=given&format=pem", []string{"Authorization", bearer}, 200},
		"no token":      {"alias=given&format=pem", nil, 403},
		"another alias": {"alias=other&format=pem", []string{"Authorization", bearer}, 403},
		"page":          {"alias=given", []string{"Authorization", bearer, "Sec-Fetch-Site", "cross-site"}, 403},
	} {
		if response, body := l.get(t, c.query, c.header...); response.StatusCode != c.status {
			t.Errorf("%s: %d %s", name, response.StatusCode, body)
		}
	}
	kept := newKeeper(t)
	l = &formatLab{sidecar: kept.sidecar}
	if response, body := l.get(t, "alias=rsa&format=pem"); response.StatusCode != http.StatusForbidden || !strings.Contains(body, "stays in the sidecar") {
		t.Errorf("a kept key: %d %s", response.StatusCode, body)
	}
	if status := rawGet(t, kept.address, "0.0.0.0:1", "/key/release?alias=rsa"); !strings.Contains(status, "with another Host, use POST") {
		t.Errorf("a GET that browsers do not mark: %s", status)
	}
}

// rawGet sends a GET with another Host than the address.
func rawGet(t *testing.T, address, host, target string) string {
	t.Helper()
	connection, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, host); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(connection)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
