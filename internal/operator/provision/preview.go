package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/hsm"
	"skr/internal/secmem"
)

// Preview is a request as it would be sent, without the access token and with
// [withheld] in place of each private member.
type Preview struct {
	Method string          `json:"method"`
	URL    string          `json:"url"`
	Body   json.RawMessage `json:"body"`
}

const (
	withheld   = "withheld"
	maxPreview = 4 << 20
)

// Preview returns what would be sent, without sending it. "" means the preset API version.
func (r *Request) Preview(apiVersion string) (Preview, error) {
	seen, err := record(r.spec.ID.Vault(), apiVersion, r.send)
	if err != nil {
		return Preview{}, err
	}
	defer secmem.Wipe(seen.body)
	body, err := r.withoutSecrets(seen.body)
	return Preview{seen.method, seen.url, body}, err
}

// record returns the request that send makes. The caller wipes its body if it holds a key.
func record(vault hsm.Vault, apiVersion string, send func(context.Context, *azkeys.Client) (azkeys.KeyBundle, error)) (*recorder, error) {
	seen := new(recorder)
	connection := hsm.Connection{Vault: vault, Access: secmem.NewText("none"), Transport: seen, APIVersion: apiVersion}
	client, err := connection.Open()
	if err != nil {
		return nil, err
	}
	if _, err := send(context.Background(), client); !errors.Is(err, errRecorded) {
		return nil, fmt.Errorf("preparing the request: %w", err)
	}
	return seen, nil
}

var errRecorded = errors.New("the request was recorded and not sent")

// recorder replaces the network.
type recorder struct {
	method, url string
	body        []byte
}

// Do records the request and returns an error.
func (d *recorder) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, maxPreview)); err != nil {
			return nil, err
		}
	}
	d.method, d.url, d.body = r.Method, r.URL.String(), body
	return nil, errRecorded
}

// withoutSecrets replaces private members. The rest stays as the SDK writes it: members in the
// order of their names, as encoding/json does.
func (r *Request) withoutSecrets(body []byte) (json.RawMessage, error) {
	if r.spec.Material == nil {
		return append(json.RawMessage(nil), body...), nil
	}
	var outer, key map[string]json.RawMessage
	if err := json.Unmarshal(body, &outer); err != nil {
		return nil, fmt.Errorf("reading the request again: %w", err)
	}
	if err := json.Unmarshal(outer["key"], &key); err != nil {
		return nil, fmt.Errorf("reading the request again: %w", err)
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
		if _, found := key[name]; found {
			key[name] = json.RawMessage(`"` + withheld + `"`)
		}
	}
	var err error
	if outer["key"], err = json.Marshal(key); err != nil {
		return nil, err
	}
	return json.Marshal(outer)
}
