package uvm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/veraison/go-cose"

	"skr/internal/jose/sign1"
	"skr/test/uvmtest"
)

var measured = measurement{0: 0xab, 47: 0xcd}

func newEndorser(t testing.TB) *uvmtest.Endorser {
	t.Helper()
	endorser, err := uvmtest.NewEndorser()
	if err != nil {
		t.Fatal(err)
	}
	return endorser
}

func TestParseEndorsement(t *testing.T) {
	endorser := newEndorser(t)
	for name, endorse := range map[string]func([48]byte, uint64, string) ([]byte, error){
		"json payload": endorser.Endorse,
		"bare payload": endorser.EndorseBare,
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := endorse(measured, 104, "TEST-UVM")
			if err != nil {
				t.Fatal(err)
			}
			e, err := ParseEndorsement(raw)
			if err != nil {
				t.Fatal(err)
			}
			if e.Issuer() != endorser.Issuer() || e.Feed() != "TEST-UVM" || e.GuestSVN() != 104 || e.Measurement() != measured {
				t.Errorf("parsed %s", e)
			}
			if e.KnownIssuer() {
				t.Error("a test endorser counts as Microsoft")
			}
			if !bytes.Equal(e.Raw(), raw) {
				t.Error("Raw is not what was parsed")
			}
		})
	}
}

// refusals each change one thing; want is part of the error.
var refusals = []struct {
	name, want string
	bare       bool
	spoil      func(*uvmtest.Envelope)
}{
	{"other root", "fingerprint", false, func(v *uvmtest.Envelope) {
		other, _ := uvmtest.NewEndorser()
		v.Protected["iss"] = other.Issuer()
	}},
	{"fingerprint of the leaf", "fingerprint", false, func(v *uvmtest.Envelope) {
		sum := sha256.Sum256(v.Protected[int64(33)].([]any)[0].([]byte))
		v.Protected["iss"] = "did:x509:0:sha256:" + base64.RawURLEncoding.EncodeToString(sum[:]) + "::subject:O:TEST%20ONLY"
	}},
	{"wrong purpose", "lacks the extended key usage 1.3.6.1.4.1.311.76.59.1.2", false, func(v *uvmtest.Envelope) {
		did, _, _ := strings.Cut(v.Protected["iss"].(string), "::")
		v.Protected["iss"] = did + "::eku:1.3.6.1.4.1.311.76.59.1.2"
	}},
	{"unknown policy", `policy "fulcio-issuer" is not known`, false, func(v *uvmtest.Envelope) {
		v.Protected["iss"] = v.Protected["iss"].(string) + "::fulcio-issuer:example.com"
	}},
	{"one certificate", "2 to 8 certificates", false, func(v *uvmtest.Envelope) {
		v.Protected[int64(33)] = v.Protected[int64(33)].([]any)[:1]
	}},
	{"bare certificate", "2 to 8 certificates", false, func(v *uvmtest.Envelope) {
		v.Protected[int64(33)] = v.Protected[int64(33)].([]any)[0]
	}},
	{"text certificate", "entry 1 is not a byte string", false, func(v *uvmtest.Envelope) {
		v.Protected[int64(33)].([]any)[1] = "certificate"
	}},
	{"broken certificate", "x5chain entry 2", false, func(v *uvmtest.Envelope) {
		v.Protected[int64(33)].([]any)[2] = []byte{0x30, 0}
	}},
	{"chain out of order", "its issuer is not the next certificate", false, func(v *uvmtest.Envelope) {
		chain := v.Protected[int64(33)].([]any)
		chain[1], chain[2] = chain[2], chain[1]
	}},
	{"intermediate left out", "its issuer is not the next certificate", false, func(v *uvmtest.Envelope) {
		chain := v.Protected[int64(33)].([]any)
		v.Protected[int64(33)] = []any{chain[0], chain[2]}
	}},
	{"intermediate of another CA with the same name", "x509", false, func(v *uvmtest.Envelope) {
		other, _ := uvmtest.NewEndorser()
		v.Protected[int64(33)].([]any)[1] = other.Chain()[1]
	}},
	{"signed by another key", "verifying the signature", false, func(v *uvmtest.Envelope) {
		v.Key, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}},
	{"x5chain unprotected", "unprotected", false, func(v *uvmtest.Envelope) {
		v.Unprotected[int64(33)] = v.Protected[int64(33)]
		delete(v.Protected, int64(33))
	}},
	{"x5chain in both headers", "unprotected", false, func(v *uvmtest.Envelope) {
		v.Unprotected[int64(33)] = v.Protected[int64(33)]
	}},
	{"issuer unprotected", "parameter iss is in the unprotected header", false, func(v *uvmtest.Envelope) {
		v.Unprotected["iss"] = v.Protected["iss"]
	}},
	{"critical parameter", "critical", false, func(v *uvmtest.Envelope) {
		v.Protected[int64(2)] = []any{int64(3)}
	}},
	{"nested parameter", "decoding the protected header", false, func(v *uvmtest.Envelope) {
		nested := any(int64(0))
		for range 12 {
			nested = []any{nested}
		}
		v.Protected["nested"] = nested
	}},
	{"no issuer", "parameter iss is not a text", false, func(v *uvmtest.Envelope) { delete(v.Protected, "iss") }},
	{"issuer is a number", "parameter iss is not a text", false, func(v *uvmtest.Envelope) { v.Protected["iss"] = int64(1) }},
	{"no feed", "parameter feed is not a text", false, func(v *uvmtest.Envelope) { delete(v.Protected, "feed") }},
	{"payload is not JSON", "is not JSON", false, payload(`guestsvn`)},
	{"payload is an array", "is not a JSON object", false, payload(`[]`)},
	{"payload followed by more", "has data after the JSON object", false, payload(`{} {}`)},
	{"member twice", "\"x-ms-sevsnpvm-guestsvn\" twice", false, payload(`{"x-ms-sevsnpvm-guestsvn":"1","x-ms-sevsnpvm-guestsvn":"200"}`)},
	{"member in another case", "reading x-ms-sevsnpvm-guestsvn", false,
		payload(`{"X-MS-SEVSNPVM-GUESTSVN":"1","x-ms-sevsnpvm-launchmeasurement":"` + strings.Repeat("ab", 48) + `"}`)},
	{"no svn", "reading x-ms-sevsnpvm-guestsvn", false, payload(`{"x-ms-sevsnpvm-launchmeasurement":"` + strings.Repeat("ab", 48) + `"}`)},
	{"negative svn", "not a decimal number", false, payload(`{"x-ms-sevsnpvm-guestsvn":-1}`)},
	{"svn with a sign", "not a decimal number", false, payload(`{"x-ms-sevsnpvm-guestsvn":"+1"}`)},
	{"svn too large", "not a decimal number", false, payload(`{"x-ms-sevsnpvm-guestsvn":"18446744073709551616"}`)},
	{"svn is a boolean", "not a decimal number", false, payload(`{"x-ms-sevsnpvm-guestsvn":true}`)},
	{"svn disagrees", "is 1 but x-ms-sevsnpvm-guestsvn-int is 2", false, payload(`{"x-ms-sevsnpvm-guestsvn":"1","x-ms-sevsnpvm-guestsvn-int":2}`)},
	{"no measurement", "reading x-ms-sevsnpvm-launchmeasurement", false, payload(`{"x-ms-sevsnpvm-guestsvn":"1"}`)},
	{"short measurement", "has 47 bytes", false, payload(`{"x-ms-sevsnpvm-guestsvn":"1","x-ms-sevsnpvm-launchmeasurement":"` + strings.Repeat("ab", 47) + `"}`)},
	{"measurement is not hex", "invalid byte", false, payload(`{"x-ms-sevsnpvm-guestsvn":"1","x-ms-sevsnpvm-launchmeasurement":"zz"}`)},

	{"bare: other root", "fingerprint", true, func(v *uvmtest.Envelope) {
		other, _ := uvmtest.NewEndorser()
		claims(v)[int64(1)] = other.Issuer()
	}},
	{"bare: no issuer", "parameter 1 is not a text", true, func(v *uvmtest.Envelope) { delete(claims(v), int64(1)) }},
	{"bare: no feed", "parameter 2 is not a text", true, func(v *uvmtest.Envelope) { delete(claims(v), int64(2)) }},
	{"bare: no svn", "svn is not an unsigned number", true, func(v *uvmtest.Envelope) { delete(claims(v), "svn") }},
	{"bare: negative svn", "svn is not an unsigned number", true, func(v *uvmtest.Envelope) { claims(v)["svn"] = int64(-1) }},
	{"bare: svn is a string", "svn is not an unsigned number", true, func(v *uvmtest.Envelope) { claims(v)["svn"] = "104" }},
	{"bare: other hash", "is not SHA-384", true, func(v *uvmtest.Envelope) { v.Protected[int64(258)] = int64(-16) }},
	{"bare: null for a hash", "is not SHA-384", true, func(v *uvmtest.Envelope) { v.Protected[int64(258)] = nil }},
	{"bare: hash unprotected", "parameter 258 is in the unprotected header", true, func(v *uvmtest.Envelope) {
		v.Unprotected[int64(258)] = v.Protected[int64(258)]
		delete(v.Protected, int64(258))
	}},
	{"bare: short payload", "has 32 bytes", true, func(v *uvmtest.Envelope) { v.Payload = v.Payload[:32] }},
	{"bare: claims are not a map", "not a map", true, func(v *uvmtest.Envelope) { v.Protected[int64(15)] = []any{int64(1)} }},
	{"bare: claims unprotected", "parameter 15 is in the unprotected header", true, func(v *uvmtest.Envelope) {
		v.Unprotected[int64(15)] = v.Protected[int64(15)]
	}},
}

// Headers that only describe are reported and never refused.
func TestDescriptiveHeaders(t *testing.T) {
	endorser := newEndorser(t)
	for _, c := range []struct {
		name, want string
		bare       bool
		spoil      func(*uvmtest.Envelope)
	}{
		{"as recorded", "application/json", false, func(*uvmtest.Envelope) {}},
		{"text", "text/plain", false, func(v *uvmtest.Envelope) { v.Protected[int64(3)] = "text/plain" }},
		{"number", "50", false, func(v *uvmtest.Envelope) { v.Protected[int64(3)] = int64(50) }},
		{"missing", "", false, func(v *uvmtest.Envelope) { delete(v.Protected, int64(3)) }},
		{"unprotected", "", false, func(v *uvmtest.Envelope) {
			v.Unprotected[int64(3)] = v.Protected[int64(3)]
			delete(v.Protected, int64(3))
		}},
		{"long", "a/" + strings.Repeat("b", sign1.MaxDescribed-2), false, func(v *uvmtest.Envelope) {
			v.Protected[int64(3)] = "a/" + strings.Repeat("b", 2*sign1.MaxDescribed)
		}},
		{"bare: octets", "application/octet-stream", true, func(v *uvmtest.Envelope) { v.Protected[int64(259)] = "application/octet-stream" }},
		{"bare: number", "42", true, func(v *uvmtest.Envelope) { v.Protected[int64(259)] = int64(42) }},
		{"bare: something else", "", true, func(v *uvmtest.Envelope) { v.Protected[int64(259)] = []any{true} }},
		{"bare: missing", "", true, func(v *uvmtest.Envelope) { delete(v.Protected, int64(259)) }},
		{"bare: unprotected", "", true, func(v *uvmtest.Envelope) {
			v.Unprotected[int64(259)] = v.Protected[int64(259)]
			delete(v.Protected, int64(259))
		}},
		{"bare: no hash algorithm", "application/json", true, func(v *uvmtest.Envelope) { delete(v.Protected, int64(258)) }},
		{"bare: location of the measured content", "application/json", true, func(v *uvmtest.Envelope) { v.Protected[int64(260)] = "https://example.com" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			envelope := endorser.BareEnvelope(measured, 104, "TEST-UVM")
			if !c.bare {
				var err error
				if envelope, err = endorser.Envelope(measured, 104, "TEST-UVM"); err != nil {
					t.Fatal(err)
				}
			}
			c.spoil(envelope)
			raw, err := envelope.Sign()
			if err != nil {
				t.Fatal(err)
			}
			e, err := ParseEndorsement(raw)
			if err != nil {
				t.Fatal(err)
			}
			if e.ContentType() != c.want || e.Measurement() != measured || e.GuestSVN() != 104 {
				t.Errorf("content type %q, want %q; %s", e.ContentType(), c.want, e)
			}
		})
	}
}

func payload(text string) func(*uvmtest.Envelope) {
	return func(v *uvmtest.Envelope) { v.Payload = []byte(text) }
}

func claims(v *uvmtest.Envelope) map[any]any { return v.Protected[int64(15)].(map[any]any) }

func TestParseEndorsementRefuses(t *testing.T) {
	endorser := newEndorser(t)
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			envelope, err := endorser.Envelope(measured, 104, "TEST-UVM")
			if err != nil {
				t.Fatal(err)
			}
			if c.bare {
				envelope = endorser.BareEnvelope(measured, 104, "TEST-UVM")
			}
			c.spoil(envelope)
			raw, err := envelope.Sign()
			if err != nil {
				t.Fatal(err)
			}
			if e, err := ParseEndorsement(raw); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want an error about %q", e, err, c.want)
			}
		})
	}
}

// TestParseEndorsementRefusesBytes alters a message after it was signed.
func TestParseEndorsementRefusesBytes(t *testing.T) {
	endorser := newEndorser(t)
	good, err := endorser.Endorse(measured, 104, "TEST-UVM")
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, replacement string) []byte {
		changed := bytes.Replace(good, []byte(old), []byte(replacement), 1)
		if bytes.Equal(changed, good) {
			t.Fatalf("the message does not contain %q", old)
		}
		return changed
	}
	digits := hex.EncodeToString(measured[:])
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"payload":          {change(digits, strings.Repeat("0", 96)), "verifying the signature"},
		"feed":             {change("TEST-UVM", "TEST-UVN"), "verifying the signature"},
		"signature":        {append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), "verifying the signature"},
		"trailing data":    {append(bytes.Clone(good), 0), "extraneous data"},
		"truncated":        {good[:len(good)-1], "decoding CBOR"},
		"untagged":         {good[1:], "decoding COSE_Sign1"},
		"other tag":        {append([]byte{0xd1}, good[1:]...), "decoding COSE_Sign1"},
		"empty":            {nil, "decoding CBOR"},
		"oversized":        {make([]byte, maxEndorsement+1), "are more than"},
		"nested":           {append(bytes.Repeat([]byte{0x81}, 30), 0), "decoding CBOR"},
		"indefinite array": {[]byte{0xd2, 0x9f, 0x40, 0xa0, 0x40, 0x40, 0xff}, "decoding CBOR"},
		"duplicate label":  {[]byte{0xd2, 0x84, 0x45, 0xa2, 1, 0x26, 1, 0x26, 0xa0, 0x41, 0, 0x41, 0}, "duplicate"},
		"nil payload":      {[]byte{0xd2, 0x84, 0x43, 0xa1, 1, 0x26, 0xa0, 0xf6, 0x41, 0}, "x5chain"},
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := ParseEndorsement(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want an error about %q", e, err, c.want)
			}
		})
	}
}

// TestSwappedAlgorithm writes an algorithm into the header that does not fit the leaf's
// key. No signer would write it.
func TestSwappedAlgorithm(t *testing.T) {
	endorser := newEndorser(t)
	for algorithm, want := range map[cose.Algorithm]string{
		cose.AlgorithmPS384: "using the leaf's key",
		cose.AlgorithmES256: "verifying the signature",
		cose.AlgorithmEdDSA: "is not one of",
		cose.AlgorithmRS256: "is not one of",
		cose.Algorithm(0):   "is not one of",
	} {
		t.Run(algorithm.String(), func(t *testing.T) {
			envelope, err := endorser.Envelope(measured, 104, "TEST-UVM")
			if err != nil {
				t.Fatal(err)
			}
			envelope.Protected.SetAlgorithm(algorithm)
			message := cose.Sign1Message{
				Headers:   cose.Headers{Protected: envelope.Protected, Unprotected: envelope.Unprotected},
				Payload:   envelope.Payload,
				Signature: make([]byte, 96),
			}
			raw, err := message.MarshalCBOR()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseEndorsement(raw); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error about %q", err, want)
			}
		})
	}
}

func TestKnownIssuer(t *testing.T) {
	for _, c := range []struct {
		purpose, feed string
		svn           uint64
		want          bool
	}{
		{"2", "ContainerPlat-AMD-UVM", 100, true},
		{"2", "ContainerPlat-AMD-UVM", 99, false},
		{"2", "ConfAKS-AMD-UVM", 100, false},
		{"5", "ConfAKS-AMD-UVM", 1, true},
		{"5", "ConfAKS-AMD-UVM", 0, false},
		{"1", "ConfAKS-AMD-UVM", 1, false},
	} {
		issuer := "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1." + c.purpose
		e := &Endorsement{issuer: issuer, feed: c.feed, guestSVN: c.svn}
		if e.KnownIssuer() != c.want {
			t.Errorf("%s: known is %v, want %v", e, e.KnownIssuer(), c.want)
		}
	}
}

func FuzzParseEndorsement(f *testing.F) {
	endorser := newEndorser(f)
	for _, endorse := range []func([48]byte, uint64, string) ([]byte, error){endorser.Endorse, endorser.EndorseBare} {
		raw, err := endorse(measured, 104, "TEST-UVM")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{0xd2, 0x84, 0x40, 0xa0, 0x40, 0x40})
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := ParseEndorsement(raw)
		if err == nil && (!bytes.Equal(e.Raw(), raw) || e.Issuer() == "") {
			t.Errorf("parsed %v", e)
		}
	})
}

func FuzzParseStatement(f *testing.F) {
	f.Add([]byte(`{"x-ms-sevsnpvm-guestsvn":"1","x-ms-sevsnpvm-launchmeasurement":"` + strings.Repeat("ab", 48) + `"}`))
	f.Add([]byte(`{"a":{"b":[1]},"a":2}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := parseStatement(payload)
		if err != nil {
			return
		}
		again, err := parseStatement(fmt.Appendf(nil, `{"x-ms-sevsnpvm-guestsvn":%d,"x-ms-sevsnpvm-launchmeasurement":"%x"}`, s.guestSVN, s.measurement))
		if err != nil || again != s {
			t.Errorf("%v became %v, %v", s, again, err)
		}
	})
}
