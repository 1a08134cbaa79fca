package conformance

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"skr/api"
	"skr/attest/snp"
	"skr/internal/strictjson"
)

// form returns what is wrong with a text, or "". The text may be a secret.
type form func(text []byte) string

func sortedNames(members map[string]form) []string { return slices.Sorted(maps.Keys(members)) }

// oneOf wants one of the texts.
func oneOf(wanted ...string) form {
	return func(text []byte) string {
		for _, w := range wanted {
			if string(text) == w {
				return ""
			}
		}
		return fmt.Sprintf("is none of %q", wanted)
	}
}

func anyText([]byte) string { return "" }

var base64URL = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// jwt wants a signed token: three parts in base64url, of which the first is an object with alg.
func jwt(text []byte) string {
	parts := bytes.Split(text, []byte("."))
	if len(parts) != 3 {
		return "is not a token of three parts"
	}
	for _, part := range parts {
		if !base64URL.Match(part) {
			return "is not a token in base64url without padding"
		}
	}
	header, err := base64.RawURLEncoding.AppendDecode(nil, parts[0])
	if _, hasAlg := textOf(header, "alg"); err != nil || !hasAlg {
		return "is a token whose header names no alg"
	}
	return ""
}

// jwkMembers are the members by key type that clients of the reference sidecar read.
var jwkMembers = map[string][]string{
	"RSA": {"n", "e", "d", "p", "q"},
	"EC":  {"x", "y", "d"},
	"oct": {"k"},
}

// jwk wants a private or symmetric key as the reference sidecar releases it: values in base64url
// without padding, key_ops, and no kid.
func jwk(text []byte) string {
	if err := (strictjson.Decoder{}).Check(text); err != nil {
		return "is not a JWK: not one JSON object"
	}
	kty, _ := textOf(text, "kty")
	wanted, known := jwkMembers[string(kty)]
	if !known {
		return "is a JWK whose kty is none of RSA, EC, oct"
	}
	for _, name := range wanted {
		if value, ok := textOf(text, name); !ok || !base64URL.Match(value) {
			return fmt.Sprintf("is a JWK (%s) without %s in base64url", kty, name)
		}
	}
	if ops := member(text, "key_ops"); len(ops) == 0 || ops[0] != '[' {
		return "is a JWK without the list key_ops"
	}
	if member(text, "kid") != nil {
		return "is a JWK with kid, from which callers derive other keys than from the name"
	}
	return ""
}

// bindsRaw wants a report over data, as /attest/raw returns it. On Intel TDX a quote replaces the
// report, and below a paravisor the report covers the paravisor's claims: neither is looked into.
func bindsRaw(data []byte) rule {
	return func(a *answer) string {
		var got api.RawResponse
		if (strictjson.Decoder{}).Decode(a.body, &got) != nil {
			return "a member is not a string"
		}
		if got.TDQuote != "" {
			return ""
		}
		report, err := hex.DecodeString(got.Report)
		if err != nil {
			return "member report is not hex"
		}
		if got.HCLReport != "" {
			return isReport("report", report, nil)
		}
		return isReport("report", report, data)
	}
}

// bindsEvidence wants evidence over data, as /attest/combined returns it.
func bindsEvidence(data []byte) rule {
	return func(a *answer) string {
		var got api.CombinedResponse
		if (strictjson.Decoder{}).Decode(a.body, &got) != nil {
			return "a member has another type"
		}
		if got.TDQuote != "" || got.VirtualTPM != nil && got.Evidence == "" {
			return ""
		}
		report, err := base64.StdEncoding.DecodeString(got.Evidence)
		if err != nil {
			return "member evidence is not base64"
		}
		if tcb, err := hex.DecodeString(got.EndorsedTCB); err != nil || len(tcb) != 8 {
			return "member endorsed_tcb is not 16 hex digits"
		}
		chain, err := base64.StdEncoding.DecodeString(got.Endorsements)
		if err != nil || !bytes.Contains(chain, []byte("-----BEGIN CERTIFICATE-----")) {
			return "member endorsements is not base64 of certificates in PEM"
		}
		if _, err := base64.StdEncoding.DecodeString(got.UVMEndorsements); err != nil {
			return "member uvm_endorsements is not base64"
		}
		if got.VirtualTPM != nil {
			return isReport("evidence", report, nil)
		}
		return isReport("evidence", report, data)
	}
}

// isReport wants an SEV-SNP report, and one over data unless that is nil.
func isReport(name string, raw, data []byte) string {
	report, err := snp.Parse(raw)
	if err != nil {
		return fmt.Sprintf("member %s is not an SEV-SNP report (%d bytes)", name, len(raw))
	}
	if data != nil && report.ReportData() != snp.Bind(data) {
		return fmt.Sprintf("member %s is a report over other data: REPORT_DATA is not SHA-256 of the runtime data", name)
	}
	return ""
}
