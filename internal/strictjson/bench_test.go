package strictjson

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// tokenLike is as long and as deep as the payload of an authority's token.
func tokenLike() []byte {
	inner := map[string]any{"x-ms-compliance-status": "azure-compliant-uvm", "x-ms-attestation-type": "sevsnpvm"}
	for _, n := range strings.Fields("bootloader microcode snpfw tee guest family smt vmpl image launch id author report host") {
		inner["x-ms-sevsnpvm-"+n] = strings.Repeat("0f", 32)
		inner["x-ms-sevsnpvm-"+n+"-svn"] = 115
	}
	key := map[string]any{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(make([]byte, 256)), "e": "AQAB", "key_ops": []string{"encrypt"}}
	text, _ := json.Marshal(map[string]any{"iss": "https://a", "exp": 1, "iat": 1, "x-ms-runtime": map[string]any{"keys": []any{key}},
		"x-ms-isolation-tee": inner})
	return text
}

func BenchmarkParse(b *testing.B) {
	text := tokenLike()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
