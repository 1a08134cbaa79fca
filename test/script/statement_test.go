package script

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// statement asks the emulated vault to release $KEY for the token in a file, and writes the
// answer, which holds a release statement: "statement TOKEN FILE".
func statement(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: statement TOKEN FILE")
	}
	var answer struct{ Token string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &answer))
	body, err := json.Marshal(map[string]string{"target": answer.Token, "enc": "CKM_RSA_AES_KEY_WRAP"})
	ts.Check(err)
	url := "https://" + ts.Getenv("VAULT") + "/keys/" + ts.Getenv("KEY") + "/release?api-version=7.4"
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	ts.Check(err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+ts.ReadFile(ts.Getenv("TOKEN_FILE")))
	response, err := vaultClient(ts).Do(request)
	ts.Check(err)
	defer func() { _ = response.Body.Close() }()
	var text bytes.Buffer
	_, err = text.ReadFrom(response.Body)
	ts.Check(err)
	if response.StatusCode != http.StatusOK {
		ts.Fatalf("the vault answers %d: %s", response.StatusCode, text.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text.Bytes(), 0o600))
}

// vaultClient trusts the emulated cloud's CA, and reaches every name at the loopback address.
func vaultClient(ts *testscript.TestScript) *http.Client {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ts.ReadFile(ts.Getenv("SKR_CA_FILE")))) {
		ts.Fatalf("no CA: run cloud first")
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}}
}
