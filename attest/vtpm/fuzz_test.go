package vtpm

import (
	"bytes"
	"strings"
	"testing"
)

// oneLine checks that the error fits one line of a log.
func oneLine(t *testing.T, err error) {
	t.Helper()
	if strings.ContainsAny(err.Error(), "\n\r\x1b") {
		t.Fatalf("the error is not one line: %q", err)
	}
}

// FuzzHCL checks that the parts are slices of the input.
func FuzzHCL(f *testing.F) {
	claims := `{"keys":[{"kid":"HCLAkPub","kty":"RSA","e":"AQAB","n":"AAAA"}],"user-data":"00"}`
	raw := make([]byte, hclClaims, hclClaims+len(claims))
	copy(raw, hclMagic)
	fields := map[int]int{
		hclVersion: 2, hclDataSize: hclDataHeader + len(claims), hclDataVersion: 1, hclType: 3, hclHash: 1, hclClaimsSize: len(claims),
	}
	for at, value := range fields {
		raw[at], raw[at+1] = byte(value), byte(value>>8)
	}
	raw = append(raw, claims...)
	if _, err := ParseHCL(raw); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(hclMagic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := ParseHCL(raw)
		if err != nil {
			oneLine(t, err)
			return
		}
		if !bytes.Contains(raw, h.claims.raw) || (h.report != nil) != (h.hardware == SEVSNP) {
			t.Fatal("the parts differ from the input")
		}
	})
}

// FuzzClaims checks that a returned key has a usable size.
func FuzzClaims(f *testing.F) {
	modulus := strings.Repeat("q6ur", 85) + "qw"
	f.Add(`{"keys":[{"kid":"HCLAkPub","kty":"RSA","e":"AQAB","n":"` + modulus + `"}],"vm-configuration":{"secure-boot":true}}`)
	f.Add(`{"user-data":"` + strings.Repeat("aB", 64) + `"}`)
	f.Add(`{"keys":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseClaims([]byte(text))
		if err != nil {
			oneLine(t, err)
			return
		}
		if key, err := c.AK(); err == nil && key.N.BitLen() < 2048 {
			t.Fatal("the key is too short")
		}
		if data, ok := c.UserData(); ok && len(data) != userDataSize {
			t.Fatal("user-data has another length")
		}
	})
}

// FuzzQuote checks that a parsed quote covers only PCRs that exist.
func FuzzQuote(f *testing.F) {
	attest := []byte("\xffTCG\x80\x18\x00\x00\x00\x02no")
	attest = append(attest, make([]byte, 25)...)
	attest = append(attest, "\x00\x00\x00\x01\x00\x0b\x03\xff\x00\x00\x00\x20"...)
	attest = append(attest, make([]byte, 32)...)
	if _, err := ParseQuote(attest); err != nil {
		f.Fatal(err)
	}
	f.Add(attest)
	f.Add(append([]byte{0, byte(len(attest))}, attest...))
	f.Add(append(append([]byte{0, byte(len(attest))}, attest...), 0, 0x14, 0, 0x0b, 0, 1, 7))
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := ParseQuote(raw)
		if err != nil {
			oneLine(t, err)
			return
		}
		if !bytes.Contains(raw, q.attest) || q.selection >= 1<<PCRCount {
			t.Fatal("the parts differ from the input")
		}
	})
}

// FuzzEventLog checks that a parsed log can be replayed and read.
func FuzzEventLog(f *testing.F) {
	header := make([]byte, 4+4+sha1Size, 128)
	header[4] = byte(NoAction)
	header = append(header, 33, 0, 0, 0)
	header = append(header, specID+"\x00\x00\x00\x00\x00\x02\x00\x02\x01\x00\x00\x00\x0b\x00\x20\x00\x00"...)
	event := append([]byte("\x07\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x0b\x00"), separators[0][:]...)
	event = append(event, 4, 0, 0, 0, 0, 0, 0, 0)
	log := append(bytes.Clone(header), event...)
	if _, err := ParseEventLog(log); err != nil {
		f.Fatal(err)
	}
	f.Add(header)
	f.Add(log)
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := ParseEventLog(raw)
		if err != nil {
			oneLine(t, err)
			return
		}
		values := l.Replay()
		for pcr := range values {
			if pcr < 0 || pcr >= PCRCount {
				t.Fatalf("PCR %d", pcr)
			}
		}
		if err := l.Explain(values, 0); err != nil {
			t.Fatal(err)
		}
		if state, err := l.SecureBoot(); err == nil && state.Enabled == (state.Reason != "") {
			t.Fatalf("%+v", state)
		}
		for _, e := range l.Events() {
			_ = e.Variable() // must not panic
		}
	})
}

// FuzzDatabase checks that the number of hashes and certificates fits the input.
func FuzzDatabase(f *testing.F) {
	list := append(bytes.Clone(typeSHA256[:]), 76, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0)
	f.Add(append(list, make([]byte, 48)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := parseDatabase("db", raw)
		if d.Hashes*(32+ownerSize) > len(raw) || len(d.Certificates)*ownerSize > len(raw) {
			t.Fatalf("%+v of %d bytes", d, len(raw))
		}
	})
}

// FuzzEnvelope checks that a parsed envelope can be tried with any key.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(`{"EncryptedInnerKey":"AA==","EncryptionParams":{"BlockMode":"ChainingModeGCM","Cipher":"AES","Iv":"MDEyMzQ1Njc4OWFi"},`+
		`"AuthenticationData":"AAAAAAAAAAAAAAAAAAAAAA==","Jwt":"AA=="}`), make([]byte, 32))
	f.Add([]byte(`{}`), []byte{})
	f.Fuzz(func(t *testing.T, raw, key []byte) {
		e, err := ParseEnvelope(raw)
		if err != nil {
			oneLine(t, err)
			return
		}
		if _, err := e.Open(key); err != nil {
			oneLine(t, err)
		}
	})
}

// FuzzAKCertificate checks that a parsed certificate has an RSA key.
func FuzzAKCertificate(f *testing.F) {
	f.Add(azureCertificates)
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := ParseAKCertificate(raw)
		if err != nil {
			oneLine(t, err)
			return
		}
		if a.Key() == nil {
			t.Fatal("there is no key")
		}
	})
}
