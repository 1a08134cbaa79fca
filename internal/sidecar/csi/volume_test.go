package csi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"skr/internal/refusal"
)

// accountToken returns a token of a service account. Its signature is none, which only Entra ID checks.
func accountToken(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + "." + encode(make([]byte, 256))
}

func tokensOf(token string) string {
	return fmt.Sprintf(`{"api://AzureADTokenExchange":{"token":%q,"expirationTimestamp":"2099-01-01T00:00:00Z"}}`, token)
}

const mine = `{"sub":"system:serviceaccount:shop:orders","kubernetes.io":{"pod":{"name":"orders-0","uid":"u"}}}`

// attributes returns those of a good volume, with changes.
func attributes(changes map[string]string) map[string]string {
	all := map[string]string{
		podName: "orders-0", podNamespace: "shop", podUID: "u", serviceAccount: "orders", ephemeral: "true", "secretProviderClass": "orders",
		accountTokens: tokensOf(accountToken(mine)), clientID: "c", tenantID: "t",
		objects: "- {path: key, vault: v, authority: a, key: k}\n",
	}
	maps.Copy(all, changes)
	return all
}

func encoded(t testing.TB, members map[string]string) string {
	t.Helper()
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParse(t *testing.T) {
	v, err := parse(encoded(t, attributes(map[string]string{objects: `
- path: key.pem
  vaults: [v, w]
  authorities: [a, b]
  key: k/0123
  format: pem
  mode: "0444"
- {path: plain, vault: v, authority: a, key: k}
`})), "null")
	if err != nil {
		t.Fatal(err)
	}
	if v.pod != "orders-0" || v.namespace != "shop" || v.account != "orders" || v.client != "c" || v.tenant != "t" || len(v.objects) != 2 {
		t.Errorf("%+v", v)
	}
	first, second := v.objects[0], v.objects[1]
	if first.mode != 0o444 || first.Format != "pem" || first.place().Vaults[1] != "w" || first.place().Key != "k/0123" {
		t.Errorf("%+v", first)
	}
	if second.mode != 0o440 || second.Format != "jwk" || second.place().Authority != "a" {
		t.Errorf("%+v", second)
	}
	if v.token.Reveal() != accountToken(mine) {
		t.Error("the token is another one")
	}
}

// The token may be among the secrets, where newer drivers have it, and in other clouds has another audience.
func TestTokenPlaces(t *testing.T) {
	without := attributes(nil)
	delete(without, accountTokens)
	for name, tokens := range map[string]string{
		"secrets":       tokensOf(accountToken(mine)),
		"another cloud": strings.Replace(tokensOf(accountToken(mine)), "TokenExchange", "TokenExchangeUSGov", 1),
		"unbound":       tokensOf(accountToken(`{"sub":"system:serviceaccount:shop:orders"}`)),
	} {
		if _, err := parse(encoded(t, without), encoded(t, map[string]string{accountTokens: tokens})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of several tokens for Entra ID, that of the public cloud is taken each time.
func TestSeveralTokens(t *testing.T) {
	const other = `{"sub":"system:serviceaccount:shop:orders"}`
	tokens := strings.TrimSuffix(tokensOf(accountToken(mine)), "}") +
		strings.Replace(strings.Replace(tokensOf(accountToken(other)), "{", ",", 1), "TokenExchange", "TokenExchangeUSGov", 1)
	for range 64 {
		v, err := parse(encoded(t, attributes(map[string]string{accountTokens: tokens})), "")
		if err != nil || v.token.Reveal() != accountToken(mine) {
			t.Fatalf("the token of another audience, or error %v", err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	object := func(members string) map[string]string {
		return map[string]string{objects: "- {path: key, vault: v, authority: a, key: k" + members + "}\n"}
	}
	for want, change := range map[string]map[string]string{
		`parameter "identity" of the SecretProviderClass is unknown`: {"identity": "c"},
		"volume is persistent":              {ephemeral: "false"},
		"attribute " + podName:              {podName: ""},
		"attribute " + serviceAccount:       {serviceAccount: ""},
		"parameter clientID is missing":     {clientID: ""},
		"parameter tenantID is missing":     {tenantID: ""},
		"no service account token":          {accountTokens: `{"vault":{"token":"x"}}`},
		"is not JSON of tokens by audience": {accountTokens: "x"},
		"is not a JWT":                      {accountTokens: tokensOf("x")},
		"not the one of pod shop/orders-0":  {accountTokens: tokensOf(accountToken(`{"sub":"system:serviceaccount:shop:other"}`))},
		"remove csi.storage.k8s.io/serviceAccount.tokens": {
			accountTokens: tokensOf(accountToken(`{"sub":"system:serviceaccount:shop:orders","kubernetes.io":{"pod":{"uid":"another"}}}`))},
		"must have 1 to 32":    {objects: strings.Repeat("- {path: key, vault: v, authority: a, key: k}\n", 33)},
		"empty":                {objects: ""},
		`path "key" is used`:   {objects: strings.Repeat("- {path: key, vault: v, authority: a, key: k}\n", 2)},
		"is not a file name":   {objects: "- {path: ../key, vault: v, authority: a, key: k}\n"},
		`"..data" is not`:      {objects: "- {path: ..data, vault: v, authority: a, key: k}\n"},
		`"der" is none of`:     object(", format: der"),
		"octal string":         object(`, mode: "0666"`),
		"such as \"0440\"":     object(`, mode: "0040"`),
		"member \"algorithm\"": object(", algorithm: x"),
	} {
		_, err := parse(encoded(t, attributes(change)), "")
		refused, ok := errors.AsType[*refusal.Error](err)
		if !ok || !strings.Contains(refused.Public(), want) {
			t.Errorf("%v, want a refusal with %q", err, want)
		}
	}
	if _, err := parse(encoded(t, attributes(nil)), `{"clientsecret":"x"}`); err == nil || !strings.Contains(err.Error(), "nodePublishSecretRef") {
		t.Errorf("a secret of the class: %v", err)
	}
	for _, text := range []string{"", "[]", `{"clientID":1}`, `{"clientID":"a","clientID":"b"}`} {
		if _, err := parse(text, ""); !errors.Is(err, refusal.BadRequest) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The text of a refusal goes to events, which many may read: it has no token.
func TestRefusalsHaveNoToken(t *testing.T) {
	for _, change := range []map[string]string{{podUID: "other"}, {serviceAccount: "other"}, {"unknown": accountToken(mine)}, {objects: accountToken(mine)}} {
		if _, err := parse(encoded(t, attributes(change)), ""); err == nil || strings.Contains(err.Error(), accountToken(mine)[30:60]) && change[objects] == "" {
			t.Errorf("%v: %v", change, err)
		}
	}
}

// The example in deploy/csi has parameters that skr accepts.
func TestExample(t *testing.T) {
	file, err := os.Open("../../../deploy/csi/application.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var class struct {
		Kind string
		Spec struct{ Parameters map[string]string }
	}
	if err := yaml.NewDecoder(file).Decode(&class); err != nil || class.Kind != "SecretProviderClass" {
		t.Fatalf("the first document is a %q, error %v", class.Kind, err)
	}
	v, err := parse(encoded(t, attributes(class.Spec.Parameters)), "null")
	if err != nil || len(v.objects) != 2 || v.client != class.Spec.Parameters[clientID] {
		t.Errorf("%+v, error %v", v, err)
	}
}

func TestSemantic(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3-rc.1+x": "1.2.3-rc.1+x", "": "0.0.0+unknown", "unknown": "0.0.0+unknown", "4e2d": "0.0.0+4e2d",
	} {
		if got := semantic(version); got != want {
			t.Errorf("%q: %q, want %q", version, got, want)
		}
	}
}

// What is accepted names a pod, an identity and files that the driver may write.
func FuzzParse(f *testing.F) {
	f.Add(encoded(f, attributes(nil)), "null")
	f.Add(encoded(f, attributes(map[string]string{objects: "- {path: ..data, vault: v, authority: a, key: k}\n"})), "{}")
	f.Add(encoded(f, attributes(map[string]string{accountTokens: ""})), encoded(f, map[string]string{accountTokens: tokensOf(accountToken(mine))}))
	f.Fuzz(func(t *testing.T, given, secrets string) {
		v, err := parse(given, secrets)
		if err != nil {
			if refused, ok := errors.AsType[*refusal.Error](err); !ok || refused.Reason == "" {
				t.Fatalf("%v is no refusal with a reason", err)
			}
			return
		}
		if v.namespace == "" || v.account == "" || v.client == "" || v.tenant == "" || v.token.IsZero() || len(v.objects) == 0 {
			t.Fatalf("incomplete: %+v", v)
		}
		for _, o := range v.objects {
			if strings.ContainsAny(o.Path, "/\\\x00") || strings.HasPrefix(o.Path, ".") || o.mode&^0o444 != 0 {
				t.Fatalf("file %q with mode %o", o.Path, o.mode)
			}
		}
	})
}
