package e2e

import (
	"bytes"
	"testing"

	"skr/api"
	"skr/attest/snp"
	"skr/test/emulator"
	"skr/test/snptest"
)

// reportCases falsify what the firmware reports.
var reportCases = []struct {
	name   string
	change func(*snptest.Options)
	want   api.Code
}{
	{"signature bit", func(o *snptest.Options) { o.MutateSigned = flip(0x2A0 + 3) }, api.NoEndorsements},
	{"signature zero", func(o *snptest.Options) { o.MutateSigned = func(raw []byte) { clear(raw[0x2A0:]) } }, api.NoEndorsements},
	{"signed bit: GUEST_SVN", func(o *snptest.Options) { o.MutateSigned = flip(0x04) }, api.NoEndorsements},
	{"signed bit: HOST_DATA", func(o *snptest.Options) { o.MutateSigned = flip(0xC0) }, api.NoEndorsements},
	{"signed bit: REPORTED_TCB", func(o *snptest.Options) { o.MutateSigned = flip(0x180) }, api.NoEndorsements},
	{"signed bit: CHIP_ID", func(o *snptest.Options) { o.MutateSigned = flip(0x1A0) }, api.NoEndorsements},
	{"signed bit: REPORT_DATA", func(o *snptest.Options) { o.MutateSigned = flip(0x50) }, api.NoEvidence},
	{"signed bit: MEASUREMENT", func(o *snptest.Options) { o.MutateSigned = flip(0x90) }, api.NoEndorsements},
	{"other REPORT_DATA", func(o *snptest.Options) { o.ReportData = &snp.ReportData{1} }, api.NoEvidence},
	{"other measurement", func(o *snptest.Options) { o.Measurement = snp.Measurement{1} }, api.ReleaseRejected}, // is sent without its endorsement
	{"version 1", func(o *snptest.Options) { o.Version = 1 }, api.NoEvidence},
	{"version 4294967295", func(o *snptest.Options) { o.Version = 0xFFFFFFFF }, api.NoEvidence},
	{"reserved bytes", func(o *snptest.Options) { o.Mutate = func(raw []byte) { raw[0x4C] = 1 } }, api.NoEvidence},
	{"all ones", func(o *snptest.Options) { o.MutateSigned = func(raw []byte) { fill(raw, 0xFF) } }, api.NoEvidence},
	{"all zero", func(o *snptest.Options) { o.MutateSigned = func(raw []byte) { clear(raw) } }, api.NoEvidence},
	{"masked key", func(o *snptest.Options) { o.MaskChipKey = true }, api.NoEndorsements},
	{"unsigned", func(o *snptest.Options) { o.SigningKey = snp.Unsigned }, api.NoEndorsements},
	{"reserved signing key", func(o *snptest.Options) { o.MutateSigned = func(raw []byte) { raw[0x48] = 5 << 2 } }, api.NoEvidence},
	{"VLEK without its certificate", func(o *snptest.Options) { o.SigningKey = snp.VLEK }, api.NoEndorsements},
	{"masked CHIP_ID", func(o *snptest.Options) { o.ChipID = new(snp.ChipID) }, api.NoEndorsements},
	{"other CHIP_ID", func(o *snptest.Options) { o.ChipID = &snp.ChipID{1} }, api.NoEndorsements},
	{"other product", func(o *snptest.Options) { o.CPUID = &snp.CPUID{Family: 0x19, Model: 0x11, Stepping: 1} }, api.NoEndorsements},
	{"debug", func(o *snptest.Options) { o.Policy = 0x3001f | 1<<19 }, api.ReleaseRejected},
	{"other HOST_DATA", func(o *snptest.Options) { o.HostData = snp.HostData{1} }, api.ReleaseRejected},
	{"VMPL 3", func(o *snptest.Options) { o.VMPL = 3 }, served}, // genuine, and this key's policy requires no level
}

func flip(offset int) func([]byte) { return func(raw []byte) { raw[offset] ^= 1 } }

func fill(raw []byte, b byte) {
	for i := range raw {
		raw[i] = b
	}
}

// reportArtefacts: false evidence never leads to a key. The release policy decides about
// genuine evidence that is unwanted, such as debugging or another level.
func reportArtefacts(t *testing.T, m *matrix, lab *lab) {
	s := lab.sidecar(t).ready(t)
	var original snptest.Options
	lab.cloud.Machine().Update(func(o *snptest.Options) { original = *o })
	try := func(t *testing.T, request api.ReleaseRequest, change func(*snptest.Options), want api.Code) {
		lab.cloud.Machine().Update(change)
		lab.expect(t, s, request, want)
		lab.cloud.Machine().Update(func(o *snptest.Options) { *o = original })
		lab.expect(t, s, request, served)
	}
	for _, i := range m.random(reportRow).Perm(len(reportCases)) {
		c := reportCases[i]
		m.run(t, reportRow, c.name, func(t *testing.T) { try(t, lab.request(), c.change, c.want) })
	}
	m.run(t, reportRow, "VMPL 3 for a key that requires VMPL 0", func(t *testing.T) {
		try(t, lab.onlyAtVMPL0(t), func(o *snptest.Options) { o.VMPL = 3 }, api.ReleaseRejected)
	})
}

// onlyAtVMPL0 makes a key whose policy requires a level, and requests it.
func (l *lab) onlyAtVMPL0(t *testing.T) api.ReleaseRequest {
	t.Helper()
	policy := bytes.Replace(policyFor(l.cloud, l.cloud.Machine().HostData()),
		[]byte(`"allOf":[`), []byte(`"allOf":[{"claim":"x-ms-sevsnpvm-vmpl","equals":"0"},`), 1)
	request := l.request()
	request.KID = "vmpl0"
	if _, err := l.cloud.CreateKey(t.Context(), l.vault, emulator.KeySpec{Name: request.KID, Size: 2048}, policy); err != nil {
		t.Fatal(err)
	}
	return request
}
