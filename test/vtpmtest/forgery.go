package vtpmtest

import (
	"bytes"
	"encoding/binary"

	"skr/test/tdxtest"
)

// Forgery is an HCL report of a machine with TDX that has one fault.
type Forgery struct {
	// Name names the fault, such as "hcl-version".
	Name string
	// Spoil changes the content of the NV index.
	Spoil func(index []byte)
	// Text is part of what package vtpm says; "" if only the host that quotes the TD report can
	// detect the fault, by its MAC.
	Text string
}

// Offsets in the NV index.
const (
	tdReport = 32
	claimsAt = 1236
)

// Forgeries returns all false HCL reports: at least one for each field of the frame, of the TD
// report and of the claims.
func Forgeries() []Forgery {
	frame := func(at int, value uint32) func([]byte) {
		return func(index []byte) { binary.LittleEndian.PutUint32(index[at:], value) }
	}
	td := func(at int, value byte) func([]byte) { return func(index []byte) { index[tdReport+at] ^= value } }
	rehashed := func(change func([]byte)) func([]byte) {
		return func(index []byte) {
			change(index)
			tdxtest.Rehash(index[tdReport : tdReport+1024])
		}
	}
	claim := func(after string) func([]byte) {
		return func(index []byte) {
			_, rest, _ := bytes.Cut(index[claimsAt:], []byte(after))
			rest[0] = '0' + (rest[0]-'0')&1 ^ 1
		}
	}
	const unbound = "the claims need"
	return []Forgery{
		{"hcl-signature", func(index []byte) { index[0] = 'X' }, "does not begin with HCLA"},
		{"hcl-version", frame(4, 3), "its header has version 3"},
		{"hcl-data-version", frame(1220, 2), "its runtime data has version 2"},
		{"hcl-type-of-none", frame(1224, 0), "of the hardware unknown"},
		{"hcl-type-of-snp", frame(1224, 2), "malformed SEV-SNP report"},
		{"hcl-type-of-trusted-launch", frame(1224, 3), "of the hardware Trusted Launch"},
		{"hcl-type-of-cca", frame(1224, 5), "of the hardware Arm CCA"},
		{"hcl-hash-type", frame(1228, 2), "its hash type is 2"},
		{"hcl-data-size", frame(1216, 20), "the lengths in it contradict each other"},
		{"hcl-claims-size", frame(1232, 1<<16), "the lengths in it contradict each other"},
		{"hcl-claims-no-object", func(index []byte) { index[claimsAt] = '[' }, "its runtime claims"},
		{"hcl-claims-of-other-machine", claim(`"vmUniqueId":"`), unbound},
		{"hcl-claims-of-other-key", claim(`"HCLAkPub","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":"`), unbound},
		{"hcl-claims-without-key", func(index []byte) {
			copy(index[claimsAt+bytes.Index(index[claimsAt:], []byte("HCLAkPub")):], "HCLXkPub")
		}, unbound},
		{"td-report-type", td(0, 1), "type 0x80, want 0x81"},
		{"td-report-subtype", td(1, 1), "subtype 1, want 0"},
		{"td-report-version", td(2, 2), "version 2, want 0 or 1"},
		{"td-report-reserved", td(3, 1), "reserved bytes"},
		{"td-report-tcb-hash", td(32, 1), "TEE_TCB_INFO_HASH is"},
		{"td-report-info-hash", td(80, 1), "TEE_INFO_HASH is"},
		{"td-report-module", td(264, 1), "TEE_TCB_INFO_HASH is"},
		{"td-report-mrtd", td(528, 1), "TEE_INFO_HASH is"},
		{"td-report-data", td(128, 1), unbound},
		{"td-report-data-beyond-hash", td(191, 1), unbound},
		{"td-report-mac", td(224, 1), ""},
		{"td-report-other-cpu", td(16, 1), ""},
		{"td-report-other-module", rehashed(td(264, 1)), ""},
		{"td-report-other-mrtd", rehashed(td(528, 1)), ""},
		{"td-report-debug", rehashed(td(512, 1)), ""},
	}
}
