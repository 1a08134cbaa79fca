package keyprovider

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"skr/test/rsakey"
)

var pair = sync.OnceValue(func() *rsa.PrivateKey {
	private, err := rsakey.Generate(2048)
	if err != nil {
		panic(err)
	}
	return private
})

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// The input is what ocicrypt's client writes: the members of the other operation are
// null.
func wrapInput(provider, parameter string) string {
	return `{"op":"keywrap","keywrapparams":{"ec":{"Parameters":{"` + provider + `":["` + b64(parameter) +
		`"]},"DecryptConfig":{"Parameters":null}},"optsdata":"` +
		b64("secret of the layer") + `"},"keyunwrapparams":{"dc":null,"annotation":null}}`
}

func TestParseWrap(t *testing.T) {
	good := wrapInput("attestation-agent", "skr:/keys/kafka")
	for name, tc := range map[string]struct{ input, key, err string }{
		"reference":                 {good, "kafka", ""},
		"no path":                   {wrapInput("attestation-agent", "skr:kafka"), "kafka", ""},
		"own provider":              {wrapInput("skr", "kafka"), "kafka", ""},
		"own name with a path":      {wrapInput("skr", "skr:/a/b/kafka"), "kafka", ""},
		"climbing path":             {wrapInput("skr", "../../etc/shadow"), "shadow", ""}, // a name in the directory, like any other
		"another scheme":            {wrapInput("attestation-agent", "kbs:/keys/kafka"), "", "must begin with"},
		"another provider":          {wrapInput("other", "skr:kafka"), "", "0 are named"},
		"two keys":                  {strings.Replace(good, `["`, `["`+b64("skr:other")+`","`, 1), "", "2 are named"},
		"no name":                   {wrapInput("skr", "skr:/keys/"), "", "1 to 127"},
		"dots":                      {wrapInput("skr", "skr:.."), "", "1 to 127"},
		"name with NUL":             {wrapInput("skr", "ka\x00fka"), "", "1 to 127"},
		"parameter is a number":     {strings.Replace(good, `["`+b64("skr:/keys/kafka")+`"]`, `[1]`, 1), "", "neither base64 nor"},
		"parameters are not a list": {strings.Replace(good, `["`+b64("skr:/keys/kafka")+`"]`, `"x"`, 1), "", "is not a list"},
		"parameters null":           {strings.Replace(good, `["`+b64("skr:/keys/kafka")+`"]`, `null`, 1), "", "0 are named"},
		"other is null":             {strings.Replace(good, `{"attestation-agent"`, `{"skr":null,"attestation-agent"`, 1), "kafka", ""},
		"capitals":                  {wrapInput("attestation-agent", "SKR:/keys/kafka"), "kafka", ""},
		"mixed capitals":            {wrapInput("skr", "Skr:kafka"), "kafka", ""},
		"numbers": {strings.NewReplacer(`"`+b64("secret of the layer")+`"`, numbers("secret of the layer"),
			`"`+b64("skr:/keys/kafka")+`"`, numbers("skr:kafka")).Replace(good), "kafka", ""},
		"number too large":            {strings.Replace(good, `"`+b64("secret of the layer")+`"`, `[1,256]`, 1), "", "neither base64 nor"},
		"number negative":             {strings.Replace(good, `"`+b64("secret of the layer")+`"`, `[-1]`, 1), "", "neither base64 nor"},
		"number with a decimal point": {strings.Replace(good, `"`+b64("secret of the layer")+`"`, `[1.0]`, 1), "", "neither base64 nor"},
		"empty list of numbers":       {strings.Replace(good, `"`+b64("secret of the layer")+`"`, `["1",null]`, 1), "", "neither base64 nor"},
		"data null":                   {strings.Replace(good, `"`+b64("secret of the layer")+`"`, `null`, 1), "", "is missing"},
		"parameter is not base64":     {strings.Replace(good, b64("skr:/keys/kafka"), "@", 1), "", "is not base64"},
		"other operation":             {strings.Replace(good, "keywrap", "keyunwrap", 1), "", "op must be"},
		"twice":                       {strings.Replace(good, `{"op"`, `{"op":"keyunwrap","op"`, 1), "", "the input"},
		"no data":                     {strings.Replace(good, b64("secret of the layer"), "", 1), "", "missing or empty"},
		"data is not base64":          {strings.Replace(good, b64("secret of the layer"), "@@@@", 1), "", "is not base64"},
		"data is a number":            {strings.Replace(good, `"`+b64("secret of the layer")+`"`, "1", 1), "", "neither base64 nor"},
		"not JSON":                    {"{", "", "the input"},
		"too long":                    {strings.Repeat(" ", maxInput+1), "", "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseWrap([]byte(tc.input))
			if tc.err == "" && (err != nil || got.Key != tc.key || string(got.Data) != "secret of the layer") {
				t.Errorf("got %+v, %v; want key %q", got, err, tc.key)
			}
			if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("got %v, want %q", err, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error contains the data: %v", err)
			}
		})
	}
}

func annotationText(change func(map[string]any)) []byte {
	members := map[string]any{
		"kid": "kafka", "wrapped_data": make([]byte, 256), "iv": "", "wrap_type": "rsa_2048",
		"kms_endpoint": "v.vault.azure.net", "attester_endpoint": "a.attest.azure.net",
	}
	if change != nil {
		change(members)
	}
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return text
}

func TestParseUnwrap(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(map[string]any)
		err    string
	}{
		"good":               {nil, ""},
		"capitals":           {func(m map[string]any) { m["wrap_type"] = "RSA_2048" }, ""},
		"no iv":              {func(m map[string]any) { delete(m, "iv") }, ""},
		"more members":       {func(m map[string]any) { m["note"] = "x" }, ""},
		"no kid":             {func(m map[string]any) { delete(m, "kid") }, "kid"},
		"kid is a number":    {func(m map[string]any) { m["kid"] = 1 }, "kid"},
		"empty vault":        {func(m map[string]any) { m["kms_endpoint"] = "" }, "kms_endpoint"},
		"long authority":     {func(m map[string]any) { m["attester_endpoint"] = strings.Repeat("a", 513) }, "attester_endpoint"},
		"another type":       {func(m map[string]any) { m["wrap_type"] = "aes_256" }, "wrap_type"},
		"short data":         {func(m map[string]any) { m["wrapped_data"] = make([]byte, 255) }, "has 255 bytes"},
		"another size":       {func(m map[string]any) { m["wrap_type"] = "rsa_3072" }, ""}, // the reference writes this for each key
		"no type":            {func(m map[string]any) { delete(m, "wrap_type") }, ""},
		"type null":          {func(m map[string]any) { m["wrap_type"] = nil }, ""},
		"type is a number":   {func(m map[string]any) { m["wrap_type"] = 1 }, "wrap_type"},
		"data as numbers":    {func(m map[string]any) { m["wrapped_data"] = make([]int, 256) }, ""},
		"no data":            {func(m map[string]any) { delete(m, "wrapped_data") }, "wrapped_data"},
		"data is not base64": {func(m map[string]any) { m["wrapped_data"] = "@" }, "not base64"},
		"data far too big":   {func(m map[string]any) { m["wrapped_data"] = make([]byte, maxData+3) }, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			input := `{"op":"keyunwrap","keyunwrapparams":{"dc":{"Parameters":{"attestation-agent":["` + b64("skr") + `"]}},"annotation":"` +
				base64.StdEncoding.EncodeToString(annotationText(tc.change)) + `"}}`
			got, err := ParseUnwrap([]byte(input))
			if tc.err == "" && (err != nil || got.Annotation.Key != "kafka" || got.Annotation.Vault != "v.vault.azure.net" ||
				got.Annotation.Authority != "a.attest.azure.net" || got.Annotation.Bits != 2048 || len(got.Annotation.Wrapped) != 256) {
				t.Errorf("got %+v, %v", got, err)
			}
			if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("got %v, want %q", err, tc.err)
			}
		})
	}
}

// writeKey writes the files that `skrctl key create` writes.
func writeKey(t *testing.T, dir, name, publicPath string, public any) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name+"-pub.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	write(t, filepath.Join(dir, name+"-info.json"),
		`{"kid":"x","public_key_path":"`+publicPath+`","kms_endpoint":"v.vault.azure.net","attester_endpoint":"a.attest.azure.net"}`)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func openKeys(t *testing.T, dir string) *Keys {
	t.Helper()
	keys, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	return keys
}

func TestWrapAndAnnotation(t *testing.T) {
	dir := t.TempDir()
	writeKey(t, dir, "kafka", "/home/of/somebody/kafka-pub.pem", &pair().PublicKey)
	info, err := openKeys(t, dir).Find("kafka")
	if err != nil {
		t.Fatal(err)
	}
	annotation, err := info.Wrap([]byte("the data"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{annotation.Bytes(), []byte(base64.StdEncoding.EncodeToString(annotation.Bytes()) + "\n"), append(annotation.Bytes(), '\n')} {
		again, err := ParseFile(text)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := rsa.DecryptOAEP(sha256.New(), nil, pair(), again.Wrapped, nil)
		if err != nil || string(plain) != "the data" || again.Key != "kafka" || again.Vault != "v.vault.azure.net" || again.Bits != 2048 {
			t.Errorf("got %q, %v, %+v", plain, err, again)
		}
	}
	if _, err := info.Wrap(make([]byte, 190)); err != nil {
		t.Errorf("the most that a 2048-bit key wraps: %v", err)
	}
	if _, err := info.Wrap(make([]byte, 191)); err == nil || !strings.Contains(err.Error(), "wraps at most 190") {
		t.Errorf("one byte more: %v", err)
	}
}

// An annotation names the version of the public key, if the information tells it.
func TestAnnotationsNameTheVersion(t *testing.T) {
	const version = "0123456789abcdef0123456789abcdef"
	dir := t.TempDir()
	keys := openKeys(t, dir)
	for kid, want := range map[string]string{
		"https://v.vault.azure.net/keys/kafka/" + version:                 "kafka/" + version,
		"https://v.vault.azure.net:443/keys/KAFKA/" + version:             "kafka/" + version,
		"https://v.vault.azure.net/keys/other/" + version:                 "kafka", // the vault's name for another key
		"https://v.vault.azure.net/keys/kafka":                            "kafka",
		"https://v.vault.azure.net/keys/kafka/../../secrets/s":            "kafka",
		"https://v.vault.azure.net/keys/kafka/" + strings.Repeat("a", 65): "kafka",
		"http://v.vault.azure.net/keys/kafka/" + version:                  "kafka",
		"x": "kafka", // the reference's tools
	} {
		writeKey(t, dir, "kafka", "kafka-pub.pem", &pair().PublicKey)
		write(t, filepath.Join(dir, "kafka-info.json"),
			`{"kid":"`+kid+`","public_key_path":"kafka-pub.pem","kms_endpoint":"v.vault.azure.net","attester_endpoint":"a.attest.azure.net"}`)
		info, err := keys.Find("kafka")
		if err != nil {
			t.Fatal(err)
		}
		annotation, err := info.Wrap([]byte("the data"))
		if err != nil || annotation.Key != want || "kafka"+strings.TrimSuffix("/"+annotation.Version(), "/") != want {
			t.Errorf("%s: the annotation names %q, %v, want %q", kid, annotation.Key, err, want)
		}
	}
}

// No file outside the directory can be read, whatever its files contain.
func TestKeysStayInTheirDirectory(t *testing.T) {
	parent := t.TempDir()
	outside := filepath.Join(parent, "outside")
	dir := filepath.Join(parent, "keys")
	for _, d := range []string{outside, dir} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeKey(t, outside, "secret", "secret-pub.pem", &pair().PublicKey)
	for link, target := range map[string]string{"linked-info.json": "../outside/secret-info.json",
		"absolute-info.json": filepath.Join(outside, "secret-info.json")} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "climbing-info.json"), `{"public_key_path":"../outside/secret-pub.pem","kms_endpoint":"v","attester_endpoint":"a"}`)
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe-info.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "large-info.json"), strings.Repeat(" ", maxFile+1))
	keys := openKeys(t, dir)
	for _, name := range []string{"linked", "absolute", "climbing", "pipe", "large", "../outside/secret", "", "none"} {
		if info, err := keys.Find(name); err == nil {
			t.Errorf("%q was found: %+v", name, info)
		}
	}
	if _, err := keys.Find("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing key: %v", err)
	}
}

func TestFindRefusesOtherKeys(t *testing.T) {
	dir := t.TempDir()
	small, err := rsakey.Generate(1024)
	if err != nil {
		t.Fatal(err)
	}
	writeKey(t, dir, "small", "small-pub.pem", &small.PublicKey)
	write(t, filepath.Join(dir, "no-pem-info.json"), `{"public_key_path":"no-pem-info.json","kms_endpoint":"v","attester_endpoint":"a"}`)
	write(t, filepath.Join(dir, "no-vault-info.json"), `{"public_key_path":"small-pub.pem","attester_endpoint":"a"}`)
	keys := openKeys(t, dir)
	for name, want := range map[string]string{"small": "is not RSA", "no-pem": "not in PEM", "no-vault": "kms_endpoint"} {
		if _, err := keys.Find(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

func TestOutputs(t *testing.T) {
	for want, got := range map[string][]byte{
		`{"keywrapresults":{"annotation":"YQ=="}}`:              WrapOutput([]byte("a"), Base64),
		`{"keywrapresults":{"annotation":[97]}}`:                WrapOutput([]byte("a"), Numbers),
		`{"keyunwrapresults":{"optsdata":"YQ=="}}`:              UnwrapOutput([]byte("a"), Base64),
		`{"keyunwrapresults":{"optsdata":[0,9,99,255]}}`:        UnwrapOutput([]byte{0, 9, 99, 255}, Numbers),
		`{"keyunwrapresults":{"optsdata":[]}}`:                  UnwrapOutput(nil, Numbers),
		`{"keyunwrapresults":{"optsdata":""}}`:                  UnwrapOutput(nil, Base64),
		`{"keyunwrapresults":{"optsdata":"` + b64(long) + `"}}`: UnwrapOutput([]byte(long), Base64),
	} {
		if string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The longest answer fits the buffer that was made for it. A second buffer would keep a
// copy of the secret.
func TestOutputMakesOneBuffer(t *testing.T) {
	data := []byte(long)
	for _, form := range []Form{Base64, Numbers} {
		if n := testing.AllocsPerRun(10, func() { _ = UnwrapOutput(data, form) }); n != 1 {
			t.Errorf("form %d: %v allocations, want 1", form, n)
		}
	}
}

var long = strings.Repeat("\xff", 4096)

// numbers returns bytes as ocicrypt-rs's serializer writes them.
func numbers(text string) string {
	list := make([]int, len(text))
	for i := range len(text) {
		list[i] = int(text[i])
	}
	encoded, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

// Requests as ocicrypt-rs sends them (guest-components 0e0fb720, keyprovider/mod.rs and
// config.rs): the options are plain JSON, and the other operation's parameters are
// null.
func TestRequestsOfImageRS(t *testing.T) {
	options := `{"symkey":"c3ltbWV0cmlj","digest":"sha256:00","cipheroptions":{}}`
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	wrap, err := ParseWrap([]byte(`{"op":"keywrap","keywrapparams":{"ec":{"Parameters":{"attestation-agent":["` + b64("skr:layers") +
		`"]},"DecryptConfig":null},"optsdata":` + string(text) + `},"keyunwrapparams":{"dc":null,"annotation":null}}`))
	if err != nil || wrap.Key != "layers" || string(wrap.Data) != options {
		t.Errorf("wrap: %+v, %v", wrap, err)
	}
	for _, dc := range []string{`{"Parameters":{}}`, `{"Parameters":{"attestation-agent":["` + b64("cc_kbc::null") + `"]}}`, "null"} {
		unwrap, err := ParseUnwrap([]byte(`{"op":"keyunwrap","keywrapparams":{"ec":null,"optsdata":null},"keyunwrapparams":{"dc":` + dc + `,"annotation":"` +
			base64.StdEncoding.EncodeToString(annotationText(nil)) + `"}}`))
		if err != nil || unwrap.Annotation.Key != "kafka" {
			t.Errorf("unwrap with dc %s: %+v, %v", dc, unwrap, err)
		}
	}
}

func FuzzParseWrap(f *testing.F) {
	f.Add([]byte(wrapInput("attestation-agent", "skr:/keys/kafka")))
	f.Add([]byte(wrapInput("skr", "kafka")))
	f.Add([]byte(`{"op":"keywrap"}`))
	f.Add([]byte(strings.Replace(wrapInput("skr", "kafka"), `"`+b64("secret of the layer")+`"`, `[1,2,255]`, 1)))
	f.Add([]byte(strings.Replace(wrapInput("skr", "kafka"), b64("secret of the layer"), `{\"symkey\":\"\"}`, 1)))
	f.Fuzz(func(t *testing.T, input []byte) {
		if got, err := ParseWrap(input); err == nil && (checkName(got.Key) != nil || len(got.Data) == 0) {
			t.Errorf("got %+v", got)
		}
	})
}

func FuzzParseUnwrap(f *testing.F) {
	f.Add([]byte(`{"op":"keyunwrap","keyunwrapparams":{"dc":null,"annotation":"` + base64.StdEncoding.EncodeToString(annotationText(nil)) + `"}}`))
	f.Fuzz(func(_ *testing.T, input []byte) { _, _ = ParseUnwrap(input) })
}

// Parsed annotations are encoded as annotations with the same meaning.
func FuzzAnnotation(f *testing.F) {
	f.Add(annotationText(nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := ParseFile(text)
		if err != nil {
			return
		}
		again, err := ParseAnnotation(a.Bytes())
		if err != nil || again.Key != a.Key || again.Vault != a.Vault || again.Authority != a.Authority || !bytes.Equal(again.Wrapped, a.Wrapped) {
			t.Errorf("%+v became %+v, %v", a, again, err)
		}
	})
}
