package vtpm_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"skr/attest/vtpm"
)

// sha1Event returns a TCG_PCR_EVENT.
func sha1Event(pcr, kind uint32, digest byte, data string) []byte {
	raw := binary.LittleEndian.AppendUint32(nil, pcr)
	raw = binary.LittleEndian.AppendUint32(raw, kind)
	raw = append(raw, bytes.Repeat([]byte{digest}, 20)...)
	raw = binary.LittleEndian.AppendUint32(raw, uint32(len(data)))
	return append(raw, data...)
}

// SHA-1 logs have no magic number. Nothing else counts as one.
func TestSHA1Log(t *testing.T) {
	good := append(sha1Event(0, 8, 1, "version"), sha1Event(7, 4, 2, "")...)
	if !vtpm.IsEventLog(good) {
		t.Error("a SHA-1 log is not recognised")
	}
	_, err := vtpm.ParseEventLog(good)
	checkError(t, err, "digests of SHA-1 only; skr verifies the SHA-256 bank")
	for name, data := range map[string][]byte{
		"zeros": make([]byte, 320), "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0),
		"another PCR": sha1Event(24, 4, 1, ""), "another type": sha1Event(0, 0x77, 1, ""), "nothing extended": sha1Event(0, 3, 1, ""),
	} {
		if vtpm.IsEventLog(data) {
			t.Errorf("%s counts as a SHA-1 log", name)
		}
	}
}

// A signature of any algorithm is parsed. Only RSASSA with SHA-256 is accepted.
func TestSignature(t *testing.T) {
	form := func(scheme, hash uint16, parts ...int) []byte {
		raw := binary.BigEndian.AppendUint16(nil, scheme)
		raw = binary.BigEndian.AppendUint16(raw, hash)
		for _, size := range parts {
			raw = append(binary.BigEndian.AppendUint16(raw, uint16(size)), make([]byte, size)...)
		}
		return raw
	}
	for _, c := range []struct {
		name  string
		data  []byte
		is    bool
		wrong string // error of ParseSignature; "" if accepted
	}{
		{"RSASSA", form(0x14, 0xb, 256), true, ""},
		{"3072 bits", form(0x14, 0xb, 384), true, ""},
		{"RSAPSS", form(0x16, 0xb, 256), true, "want 0x14 and 0xb"},
		{"SHA-384", form(0x14, 0xc, 256), true, "want 0x14 and 0xb"},
		{"ECDSA", form(0x18, 0xb, 32, 32), true, "TPMT_SIGNATURE"},
		{"short", form(0x14, 0xb, 64), false, "no TPMT_SIGNATURE"},
		{"another hash", form(0x14, 0xff, 256), false, "no TPMT_SIGNATURE"},
		{"bytes behind", append(form(0x14, 0xb, 256), 0), false, "no TPMT_SIGNATURE"},
		{"one of two numbers", form(0x18, 0xb, 32), false, "no TPMT_SIGNATURE"},
		{"zeros", make([]byte, 262), false, "no TPMT_SIGNATURE"},
		{"nothing", nil, false, "no TPMT_SIGNATURE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if vtpm.IsSignature(c.data) != c.is {
				t.Errorf("known: %t", !c.is)
			}
			got, err := vtpm.ParseSignature(c.data)
			if c.wrong != "" {
				checkError(t, err, c.wrong)
				return
			}
			if err != nil || !bytes.Equal(got.Raw(), c.data) || got.Bits() != 8*(len(c.data)-6) || len(got.Number()) != len(c.data)-6 {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
