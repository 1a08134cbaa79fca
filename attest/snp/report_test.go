package snp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-sev-guest/verify/testdata"

	"skr/attest/snp"
	"skr/test/snptest"
)

func newChip(tb testing.TB, p snp.Product) *snptest.Chip {
	tb.Helper()
	v, err := snptest.NewVendor(p, time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	c, err := v.NewChip()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func rawReport(tb testing.TB, c *snptest.Chip, o snptest.Options) []byte {
	tb.Helper()
	raw, err := c.Report(snp.Bind([]byte("runtime data")), o)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func parse(tb testing.TB, raw []byte) *snp.Report {
	tb.Helper()
	report, err := snp.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

// filled returns n bytes that count up from b, so that all fields differ.
func filled(n int, b byte) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = b + byte(i)
	}
	return out
}

// fields holds every value of a report, for comparison.
type fields struct {
	Version, GuestSVN, VMPL, Algorithm    uint32
	Policy                                snp.GuestPolicy
	FamilyID, ImageID                     [16]byte
	Current, Reported, Committed, Launch  string
	PlatformInfo                          uint64
	AuthorKey, Masked                     bool
	Key                                   snp.SigningKey
	Data                                  snp.ReportData
	Measurement                           snp.Measurement
	HostData                              snp.HostData
	IDKey, AuthorKeyDigest                [48]byte
	ReportID, ReportIDMA                  [32]byte
	CPUID                                 string
	ChipID                                snp.ChipID
	CurrentVersion, CommittedVersion      string
	LaunchMitigations, CurrentMitigations string
	Product                               snp.Product
}

func fieldsOf(r *snp.Report) fields {
	cpuid, cpuidOK := r.CPUID()
	launch, launchOK := r.LaunchMitigations()
	current, currentOK := r.CurrentMitigations()
	return fields{
		Version: r.Version(), GuestSVN: r.GuestSVN(), VMPL: r.VMPL(), Algorithm: r.SignatureAlgorithm(),
		Policy: r.Policy(), FamilyID: r.FamilyID(), ImageID: r.ImageID(),
		Current: r.CurrentTCB().String(), Reported: r.ReportedTCB().String(),
		Committed: r.CommittedTCB().String(), Launch: r.LaunchTCB().String(),
		PlatformInfo: r.PlatformInfo(), AuthorKey: r.AuthorKeyEnabled(), Masked: r.ChipKeyMasked(), Key: r.SigningKey(),
		Data: r.ReportData(), Measurement: r.Measurement(), HostData: r.HostData(),
		IDKey: r.IDKeyDigest(), AuthorKeyDigest: r.AuthorKeyDigest(),
		ReportID: r.ReportID(), ReportIDMA: r.ReportIDMA(), CPUID: fmt.Sprint(cpuid, cpuidOK), ChipID: r.ChipID(),
		CurrentVersion: r.CurrentVersion().String(), CommittedVersion: r.CommittedVersion().String(),
		LaunchMitigations: fmt.Sprint(launch, launchOK), CurrentMitigations: fmt.Sprint(current, currentOK),
		Product: r.Product(),
	}
}

func TestFields(t *testing.T) {
	turin := newChip(t, snp.Turin)
	tcb := func(microcode uint8) *snp.TCB {
		v := snp.Components{FMC: 1, Bootloader: 2, TEE: 3, SNP: 4, Microcode: microcode}.TCB(snp.Turin)
		return &v
	}
	platform, reportIDMA, chipID := uint64(0x1122334455667788), [32]byte(filled(32, 0x70)), snp.ChipID(filled(64, 0x80))
	data := snp.ReportData(filled(64, 1))
	options := snptest.Options{
		Version: 5, GuestSVN: 0x01020304, Policy: 0x03fe_0137, FamilyID: [16]byte(filled(16, 0x10)), ImageID: [16]byte(filled(16, 0x20)),
		VMPL: 3, CurrentTCB: tcb(201), ReportedTCB: tcb(202), CommittedTCB: tcb(203), LaunchTCB: tcb(204), PlatformInfo: &platform,
		AuthorKeyEnabled: true, MaskChipKey: true, SigningKey: snp.VLEK, ReportData: &data,
		Measurement: snp.Measurement(filled(48, 0x30)), HostData: snp.HostData(filled(32, 0x40)),
		IDKeyDigest: [48]byte(filled(48, 0x50)), AuthorKeyDigest: [48]byte(filled(48, 0x60)),
		ReportID: [32]byte(filled(32, 0x65)), ReportIDMA: &reportIDMA, CPUID: &snp.CPUID{Family: 0x1A, Model: 0x11, Stepping: 7}, ChipID: &chipID,
		CurrentVersion: &snp.FirmwareVersion{Major: 1, Minor: 58, Build: 3}, CommittedVersion: &snp.FirmwareVersion{Major: 2, Minor: 57, Build: 4},
		LaunchMitigations: 5, CurrentMitigations: 7,
	}
	want := fields{
		Version: 5, GuestSVN: 0x01020304, VMPL: 3, Algorithm: 1, Policy: 0x03fe_0137,
		FamilyID: options.FamilyID, ImageID: options.ImageID,
		Current: "fmc 1, bootloader 2, tee 3, snp 4, microcode 201", Reported: "fmc 1, bootloader 2, tee 3, snp 4, microcode 202",
		Committed: "fmc 1, bootloader 2, tee 3, snp 4, microcode 203", Launch: "fmc 1, bootloader 2, tee 3, snp 4, microcode 204",
		PlatformInfo: platform, AuthorKey: true, Masked: true, Key: snp.VLEK, Data: data,
		Measurement: options.Measurement, HostData: options.HostData, IDKey: options.IDKeyDigest, AuthorKeyDigest: options.AuthorKeyDigest,
		ReportID: options.ReportID, ReportIDMA: reportIDMA, CPUID: "{26 17 7} true", ChipID: chipID,
		CurrentVersion: "1.58.3", CommittedVersion: "2.57.4",
		LaunchMitigations: "5 true", CurrentMitigations: "7 true", Product: snp.Turin,
	}
	if diff := cmp.Diff(want, fieldsOf(parse(t, rawReport(t, turin, options)))); diff != "" {
		t.Errorf("version 5 (-want +got):\n%s", diff)
	}

	options.Version = 3
	want.Version, want.LaunchMitigations, want.CurrentMitigations = 3, "0 false", "0 false"
	if diff := cmp.Diff(want, fieldsOf(parse(t, rawReport(t, turin, options)))); diff != "" {
		t.Errorf("version 3 (-want +got):\n%s", diff)
	}

	got := fieldsOf(parse(t, rawReport(t, newChip(t, snp.Milan), snptest.Options{Version: 2})))
	if got.Product != snp.ProductUnknown || got.CPUID != "{0 0 0} false" || got.Reported != "bootloader 4, tee 0, snp 24, microcode 219" {
		t.Errorf("version 2: product %s, CPUID %s, reported TCB %s", got.Product, got.CPUID, got.Reported)
	}
}

// TestGenuineReport parses a report of real Milan hardware. The expected values were
// read from the bytes by hand.
func TestGenuineReport(t *testing.T) {
	report := parse(t, testdata.AttestationBytes)
	if got, want := report.ReportedTCB().String(), "bootloader 2, tee 0, snp 5, microcode 68"; got != want {
		t.Errorf("reported TCB %q, want %q", got, want)
	}
	if got := report.CurrentVersion().String() + " " + report.CommittedVersion().String(); got != "1.49.3 1.49.3" {
		t.Errorf("firmware versions %s, want 1.49.3 twice", got)
	}
	if p := report.Policy(); p != 0xb0000 || !p.Debug() || !p.SMT() || p.MigrationAgent() {
		t.Errorf("policy %s", p)
	}
	if report.Version() != 2 || report.SigningKey() != snp.VCEK || report.ChipKeyMasked() {
		t.Errorf("version %d, signing key %s", report.Version(), report.SigningKey())
	}
}

func TestCopies(t *testing.T) {
	given := bytes.Clone(testdata.AttestationBytes)
	report := parse(t, given)
	r, s := report.Signature()
	signed := report.Signed()
	if len(signed) != 0x2A0 || len(r) != 72 || len(s) != 72 {
		t.Fatalf("lengths %d, %d, %d", len(signed), len(r), len(s))
	}
	if diff := cmp.Diff(given[:0x330], append(append(bytes.Clone(signed), r...), s...)); diff != "" {
		t.Errorf("signed bytes, R and S are not the report's start:\n%s", diff)
	}
	for _, b := range [][]byte{given, report.Raw(), signed, r, s, report.ChipID().HWID(snp.Milan)} {
		b[0] ^= 0xff
	}
	if !bytes.Equal(report.Raw(), testdata.AttestationBytes) {
		t.Error("the report shares memory with its input or output")
	}
}

func TestParseRefuses(t *testing.T) {
	chip := newChip(t, snp.Milan)
	set := func(offset int, value byte) func([]byte) { return func(raw []byte) { raw[offset] = value } }
	tests := []struct {
		name    string
		version uint32
		mutate  func([]byte)
		want    string // empty if accepted
	}{
		{"version 0", 3, set(0, 0), "version 0"},
		{"version 1", 3, set(0, 1), "version 1"},
		{"version 6", 3, set(0, 6), "version 6"},
		{"version 0x1000003", 3, set(3, 1), "version 16777219"},
		{"algorithm 0", 3, set(0x34, 0), "signature algorithm 0"},
		{"algorithm 2", 3, set(0x34, 2), "signature algorithm 2"},
		{"signing key 2", 3, set(0x48, 2<<2), "signing key 2"},
		{"signing key 6", 3, set(0x48, 6<<2), "signing key 6"},
		{"unsigned", 3, set(0x48, 7<<2), ""},
		{"key information bit 5", 3, set(0x48, 1<<5), "key information"},
		{"key information bit 31", 3, set(0x4B, 0x80), "key information"},
		{"after key information", 3, set(0x4C, 1), "byte 0x4c"},
		{"CPUID in version 2", 2, set(0x188, 1), "byte 0x188"},
		{"CPUID in version 3", 3, set(0x188, 1), ""},
		{"after CPUID", 3, set(0x18B, 1), "byte 0x18b"},
		{"before CHIP_ID", 5, set(0x19F, 1), "byte 0x19f"},
		{"after current version", 3, set(0x1EB, 1), "byte 0x1eb"},
		{"after committed version", 3, set(0x1EF, 1), "byte 0x1ef"},
		{"mitigations in version 2", 2, set(0x1F8, 1), "byte 0x1f8"},
		{"mitigations in version 3", 3, set(0x207, 1), "byte 0x207"},
		{"mitigations in version 4", 4, set(0x1F8, 1), ""},
		{"mitigations in version 5", 5, set(0x207, 1), ""},
		{"after mitigations in version 4", 4, set(0x208, 1), "byte 0x208"},
		{"after mitigations in version 5", 5, set(0x208, 1), "byte 0x208"},
		{"before the signature", 5, set(0x29F, 1), "byte 0x29f"},
		{"after the signature", 5, set(0x330, 1), "byte 0x330"},
		{"last byte", 5, set(0x49F, 1), "byte 0x49f"},
		{"unknown policy bits", 3, set(0x0F, 0x80), ""},
		{"unknown platform bits", 3, set(0x47, 0x80), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw := rawReport(t, chip, snptest.Options{Version: test.version})
			test.mutate(raw)
			_, err := snp.Parse(raw)
			if test.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if !errors.Is(err, snp.ErrMalformed) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want ErrMalformed with %q", err, test.want)
			}
		})
	}
	for _, size := range []int{0, 1, 1183, 1185, 4000} {
		if _, err := snp.Parse(make([]byte, size)); !errors.Is(err, snp.ErrMalformed) {
			t.Errorf("%d bytes: error %v, want ErrMalformed", size, err)
		}
	}
}

func TestReportDoesNotPrintItsBytes(t *testing.T) {
	report := parse(t, rawReport(t, newChip(t, snp.Milan), snptest.Options{}))
	want := "SEV-SNP report version 3, Milan, reported TCB bootloader 4, tee 0, snp 24, microcode 219"
	if got := fmt.Sprintf("%v", report); got != want {
		t.Errorf("prints %q, want %q", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(testdata.AttestationBytes)
	f.Add([]byte{})
	for _, p := range []snp.Product{snp.Milan, snp.Turin} {
		chip := newChip(f, p)
		for _, version := range []uint32{2, 3, 4, 5} {
			f.Add(rawReport(f, chip, snptest.Options{Version: version}))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		report, err := snp.Parse(raw)
		if err != nil {
			if !errors.Is(err, snp.ErrMalformed) {
				t.Errorf("error %v does not wrap ErrMalformed", err)
			}
			return
		}
		if !bytes.Equal(report.Raw(), raw) {
			t.Error("the report differs from the parsed bytes")
		}
		if got := fieldsOf(report); got.Version != binary.LittleEndian.Uint32(raw) {
			t.Errorf("version %d", got.Version)
		}
	})
}
