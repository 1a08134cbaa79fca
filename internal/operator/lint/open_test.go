package lint

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"skr/releasepolicy"
	"skr/test/samples"
)

const opened = `{"version":"1.0.0","anyOf":[{"authority":"https://mine.weu.attest.azure.net","allOf":[{"claim":"sdk-test","equals":"äöü?>~"}]}]}`

func utf16Text(text string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		b.Write([]byte{byte(unit), byte(unit >> 8)})
	}
	return b.String()
}

func wrapped(text string) string {
	return strings.Join(slices.Collect(func(yield func(string) bool) {
		for part := range slices.Chunk([]byte(text), 64) {
			if !yield(string(part)) {
				return
			}
		}
	}), "\r\n") + "\r\n"
}

func numbers(text string) string {
	list, _ := json.Marshal(slices.Collect(func(yield func(int) bool) {
		for _, b := range []byte(text) {
			if !yield(int(b)) {
				return
			}
		}
	}))
	return string(list)
}

// Every form contains the same policy.
func TestOpenForms(t *testing.T) {
	url, std := base64.RawURLEncoding.EncodeToString([]byte(opened)), base64.StdEncoding.EncodeToString([]byte(opened))
	if !strings.ContainsAny(url, "-_") || !strings.ContainsAny(std, "+/") {
		t.Fatal("the two alphabets give the same text")
	}
	text, _ := json.Marshal(opened)
	key := func(member, policy string) string {
		return `{"attributes":{"enabled":true},"key":{"kid":"https://v.vault.azure.net/keys/k/1","kty":"RSA-HSM"},"` + member + `":` + policy + `}`
	}
	envelope := `{"contentType":"application/json; charset=utf-8","immutable":true,"data":"` + url + `"}`
	for name, c := range map[string]struct{ file, immutable string }{
		"itself":           {opened, ""},
		"UTF-8 with a BOM": {"\ufeff" + opened, ""},
		"UTF-16":           {"\xff\xfe" + utf16Text(opened), ""},
		"UTF-16, no BOM":   {utf16Text(opened), ""},
		"CRLF":             {strings.ReplaceAll(opened, ",", ",\r\n"), ""},
		"base64url":        {url, ""},
		"base64":           {std, ""},
		"base64, wrapped":  {wrapped(std), ""},
		"base64url, quoted, as az prints a member": {`"` + url + `"` + "\n", ""},
		"base64 of UTF-16":                         {base64.StdEncoding.EncodeToString([]byte(utf16Text(opened))), ""},
		"base64 of an envelope":                    {base64.StdEncoding.EncodeToString([]byte(envelope)), "true"},
		"text in quotation marks":                  {string(text), ""},
		"envelope":                                 {envelope, "true"},
		"envelope without immutable":               {`{"contentType":"application/json","data":"` + std + `"}`, ""},
		"envelope, snake case":                     {`{"content_type":"x","data":"` + url + `","immutable":false}`, "false"},
		"envelope, an object":                      {`{"content_type":"x","data":` + opened + `,"immutable":false}`, "false"},
		"envelope, text":                           {`{"contentType":"x","data":` + string(text) + `}`, ""},
		"envelope of the SDKs":                     {`{"contentType":"x","encodedPolicy":"` + url + `","immutable":true}`, "true"},
		"envelope of the SDK for Python":           {`{"content_type":"x","encoded_policy":"` + std + `","immutable":true}`, "true"},
		"envelope of the SDK for .NET":             {`{"ContentType":"x","EncodedPolicy":` + numbers(opened) + `,"Immutable":null}`, ""},
		"envelope of PowerShell":                   {`{"ContentType":"x","PolicyContent":` + string(text) + `,"Immutable":true}`, "true"},
		"key of the REST API":                      {key("release_policy", envelope), "true"},
		"key without immutable":                    {key("release_policy", `{"data":"`+url+`"}`), "false"},
		"key of az keyvault key show":              {key("releasePolicy", `{"contentType":"x","encodedPolicy":"`+url+`","immutable":false}`), "false"},
		"key of PowerShell":                        {`[{"Name":"k","ReleasePolicy":{"PolicyContent":` + string(text) + `,"Immutable":false}}]`, "false"},
		"key of the SDK for Python":                {`{"key":{"kid":"x"},"properties":{"release_policy":{"encoded_policy":"` + std + `"}}}`, "false"},
		"key of skr":                               {`{"kid":"x","kty":"RSA-HSM","immutable":true,"policy":` + opened + `}`, "true"},
		"key of az, YAML": {"attributes:\n  enabled: true\nkey:\n  kid: x\nreleasePolicy:\n  encodedPolicy: " + url +
			"\n  immutable: true\n", "true"},
		"ARM template": {`{"$schema":"x","resources":[{"type":"Microsoft.KeyVault/vaults/keys","properties":{"kty":"RSA-HSM",
			"release_policy":{"contentType":"x","data":"` + url + `"}}}]}`, "false"},
		"ARM parameters":              {`{"parameters":{"releasePolicy":{"value":` + envelope + `}}}`, "true"},
		"two keys of one policy":      {`[` + key("release_policy", envelope) + `,` + key("releasePolicy", envelope) + `]`, "true"},
		"policy for Azure PowerShell": {`{"policyContent":"` + std + `"}`, ""},
	} {
		d, err := Open([]byte(c.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		policy, err := releasepolicy.Parse(d.Text)
		if err != nil || string(policy.Normalised(releasepolicy.KeyVault)) != opened {
			t.Errorf("%s: %s, %v", name, d.Text, err)
		}
		immutable := ""
		if d.Immutable != nil {
			immutable = fmt.Sprint(*d.Immutable)
		}
		if immutable != c.immutable {
			t.Errorf("%s: immutable is %q, want %q", name, immutable, c.immutable)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(opened))
	other := base64.StdEncoding.EncodeToString([]byte(strings.Replace(opened, "mine", "other", 1)))
	for file, want := range map[string]string{
		`{"key":{"kid":"x"}}`:                                                     "the key has no release policy",
		`{"key":{"kid":"x"},"releasePolicy":null}`:                                "the key has no release policy",
		`{"kid":"x","kty":"RSA-HSM","policy_error":"line 1"}`:                     "cannot be read: line 1",
		`{"key":{"kid":"x"},"tags":{"p":"` + encoded + `"}}`:                      "tags.p looks like a policy",
		`{"key":{"kid":"x"},"keyReleasePolicy":` + opened + `}`:                   "keyReleasePolicy looks like a policy",
		`{"key":{"kid":"x"},"release_policy":{"data":"%"}}`:                       "release_policy.data is not base64",
		`{"contentType":"x","data":"[base64(string(variables('p')))]"}`:           "data is an expression",
		`[{"releasePolicy":"` + encoded + `"},{"releasePolicy":"` + other + `"}]`: "several release policies ([0].releasePolicy, [1].releasePolicy)",
	} {
		d, err := Open([]byte(file))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v; want %q", file, d.Text, err, want)
		}
	}
}

// Text that is not a policy in any form stays unchanged, so that the parser reports the fault
// and its position.
func TestOpenLeavesTheRest(t *testing.T) {
	for _, file := range []string{"", " \n", "{", `{"version":"1.0.0"}`, `{"anyOf":[],}`, "hello", "a: b\n", "[1, 2]", "\xff\x00", `{"a":1}`} {
		if d, err := Open([]byte(file)); err != nil || string(d.Text) != file || d.Source != "" {
			t.Errorf("%q: %q from %q, %v", file, d.Text, d.Source, err)
		}
	}
}

func TestOpenRealForms(t *testing.T) {
	want, err := releasepolicy.Parse(samples.Read(t, "turn2/15-forms/policy-good.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"policy-bom.json", "policy-utf16.json", "policy-envelope-cli.json", "policy-envelope-object.json", "policy-envelope-snake.json",
		"key-azcli-show.json",
	} {
		d, err := Open(samples.Read(t, "turn2/15-forms", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := releasepolicy.Parse(d.Text)
		if err != nil || !bytes.Equal(got.Normalised(releasepolicy.KeyVault), want.Normalised(releasepolicy.KeyVault)) {
			t.Errorf("%s: %s, %v", name, d.Text, err)
		}
	}
	d, err := Open(samples.Read(t, "turn2/08-az-key-show/az-key-show.json"))
	if err != nil || !bytes.Contains(d.Text, []byte("sdk-test")) || d.Immutable == nil || *d.Immutable {
		t.Errorf("az keyvault key show: %s, %v", d.Text, err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, seed := range []string{opened, `{"data":[1,2],"immutable":1}`, `"` + "e30" + `"`,
		`[[]]`, `{"releasePolicy":{"value":{"value":{"value":{"value":{}}}}}}`,
		`{"":{"anyOf":[]}}`, "a: {b: c}", `{"kid":1,"policy":[256]}`, `{"contentType":"","data":{"0":1,"2":3}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Open(data)
		if err == nil && len(d.Text) > 4*len(data) {
			t.Fatalf("%d bytes became %d", len(data), len(d.Text))
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
			t.Fatalf("the error has several lines: %q", err)
		}
	})
}
