package inspect

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// skr's own files are recognised and shown with their meaning.
func TestOwnFiles(t *testing.T) {
	for _, c := range []struct {
		name, file string
		kind       Kind
		want       string
	}{
		{"annotation", annotationJSON, Annotation, "3 bytes"},
		{"annotation in base64", base64.StdEncoding.EncodeToString([]byte(annotationJSON)), Annotation, "the vault that releases the key"},
		{"NAME-info.json", keyInfoJSON,
			KeyInfo, "demands that it is not so that the host may read"},
		{"audit file", `{"seq":1,"kind":"opened","hash":"aa"}` + "\n" + recordJSON + "\n", AuditFile, "result released, key v/keys/k"},
		{"one record", recordJSON, AuditFile, "not verified"},
		{"policy", notDebuggable, ReleasePolicy, "demands that it is not so that the host may read"},
		{"policy that allows it", strings.Replace(notDebuggable, "false", "true", 1), ReleasePolicy, "demands that the host may read"},
	} {
		found, err := Recognise([]byte(c.file))
		if err != nil || found.Kind() != c.kind {
			t.Errorf("%s: is %q, %v", c.name, found.kind, err)
			continue
		}
		var text strings.Builder
		if err := found.Show(time.Unix(0, 0)).WriteText(&text); err != nil || !strings.Contains(text.String(), c.want) {
			t.Errorf("%s: %v, lacks %q:\n%s", c.name, err, c.want, &text)
		}
		if strings.Contains(text.String(), "AAAA") {
			t.Errorf("%s: the wrapped secret is shown", c.name)
		}
	}
}

const notDebuggable = `{"version":"1.0.0","anyOf":[{"authority":"https://a.attest.azure.net",` +
	`"allOf":[{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"false"}]}]}`

const annotationJSON = `{"kid":"orders","wrapped_data":"AAAA","iv":"","wrap_type":"rsa_2048","kms_endpoint":"v.vault.azure.net",` +
	`"attester_endpoint":"a.attest.azure.net"}`

const recordJSON = `{"seq":2,"time":"2026-01-31T12:00:00.000000Z","kind":"release","result":"released","key":"v/keys/k","hash":"ab"}`

const keyInfoJSON = `{"kid":"https://v/keys/k/1","kty":"RSA-HSM","size":3072,"key_ops":["wrapKey"],"immutable":true,"policy":` + notDebuggable + `}`
