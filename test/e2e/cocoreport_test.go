package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"testing"

	"skr/attest/snp"
)

func urlBase64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func bytesOf(numbers []int) []byte {
	all := make([]byte, len(numbers))
	for i, number := range numbers {
		all[i] = byte(number)
	}
	return all
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// assemble puts the members of an AttestationReport together to the bytes of the report, as the
// sev crate does before it verifies the signature (AMD 56860, table ATTESTATION_REPORT).
func assemble(t *testing.T, members map[string]json.RawMessage) []byte {
	t.Helper()
	raw := make([]byte, snp.ReportSize)
	number := func(name string) (value uint64, given bool) {
		text, found := members[name]
		if !found {
			t.Fatalf("the report has no %s", name)
		}
		if string(text) == "null" {
			return 0, false
		}
		if err := json.Unmarshal(text, &value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return value, true
	}
	for name, offset := range map[string]int{"version": 0, "guest_svn": 4, "vmpl": 0x30, "sig_algo": 0x34, "key_info": 0x48} {
		value, _ := number(name)
		binary.LittleEndian.PutUint32(raw[offset:], uint32(value))
	}
	for name, offset := range map[string]int{"policy": 8, "plat_info": 0x40, "launch_mit_vector": 0x1F8, "current_mit_vector": 0x200} {
		if value, given := number(name); given {
			binary.LittleEndian.PutUint64(raw[offset:], value)
		}
	}
	for name, offset := range map[string]int{"cpuid_fam_id": 0x188, "cpuid_mod_id": 0x189, "cpuid_step": 0x18A} {
		if value, given := number(name); given {
			raw[offset] = byte(value)
		}
	}
	for name, offset := range map[string]int{
		"family_id": 0x10, "image_id": 0x20, "report_data": 0x50, "measurement": 0x90, "host_data": 0xC0, "id_key_digest": 0xE0,
		"author_key_digest": 0x110, "report_id": 0x140, "report_id_ma": 0x160, "chip_id": 0x1A0,
	} {
		var list []int
		if err := json.Unmarshal(members[name], &list); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		copy(raw[offset:], bytesOf(list))
	}
	putParts(t, raw, members)
	return raw
}

// putParts writes the members that are objects.
func putParts(t *testing.T, raw []byte, members map[string]json.RawMessage) {
	t.Helper()
	for name, offset := range map[string]int{"current_tcb": 0x38, "reported_tcb": 0x180, "committed_tcb": 0x1E0, "launch_tcb": 0x1F0} {
		var tcb struct {
			FMC                             *byte `json:"fmc"`
			Bootloader, TEE, SNP, Microcode byte
		}
		if err := json.Unmarshal(members[name], &tcb); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if tcb.FMC != nil {
			copy(raw[offset:], []byte{*tcb.FMC, tcb.Bootloader, tcb.TEE, tcb.SNP, 0, 0, 0, tcb.Microcode})
			continue
		}
		copy(raw[offset:], []byte{tcb.Bootloader, tcb.TEE, 0, 0, 0, 0, tcb.SNP, tcb.Microcode})
	}
	for name, offset := range map[string]int{"current": 0x1E8, "committed": 0x1EC} {
		var version struct{ Major, Minor, Build byte }
		if err := json.Unmarshal(members[name], &version); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		copy(raw[offset:], []byte{version.Build, version.Minor, version.Major})
	}
	var signature struct{ R, S []int }
	if err := json.Unmarshal(members["signature"], &signature); err != nil || len(signature.R) != 72 || len(signature.S) != 72 {
		t.Fatalf("signature: %v", err)
	}
	copy(raw[0x2A0:], bytesOf(signature.R))
	copy(raw[0x2E8:], bytesOf(signature.S))
}
