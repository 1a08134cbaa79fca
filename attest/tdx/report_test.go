package tdx_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

func TestReportFields(t *testing.T) {
	want := wholeTD()
	raw := want.Report()
	copy(raw[16:], filled(16, 0xd0))
	r := must(tdx.ParseReport(raw))(t)
	got := tdOf(r)
	var has bool
	got.ServiceTD, has = r.SERVTDHash()
	got.TEETCBSVN2 = r.TEETCBSVN2()
	if diff := cmp.Diff(want, got); diff != "" || !has {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Version() != 1 || r.CPUSVN() != [16]byte(filled(16, 0xd0)) || r.MAC() != [32]byte(raw[224:]) || !bytes.Equal(r.Raw(), raw) {
		t.Errorf("version %d, CPUSVN %x, MAC %x", r.Version(), r.CPUSVN(), r.MAC())
	}
	old := must(tdx.ParseReport(tdxtest.TD{}.Report()))(t)
	if _, has := old.SERVTDHash(); has || old.Version() != 0 {
		t.Error("a report of version 0 has a SERVTD_HASH")
	}
	if text := r.String(); text != "TD report version 1, TEE_TCB_SVN 0708090a0b0c0d0e0f10111213141516" {
		t.Errorf("prints %q", text)
	}
}

func TestParseReportRefuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       int
		value    byte
		rehashed bool
		want     string // "" if it is accepted
	}{
		{"SGX", 0, 0, true, "type 0x00"},
		{"subtype 1", 1, 1, true, "subtype 1"},
		{"version 2", 2, 2, true, "version 2"},
		{"first reserved byte", 3, 1, true, "reserved"},
		{"last reserved byte", 15, 1, true, "reserved"},
		{"CPUSVN", 16, 1, true, ""},
		{"MAC", 224, 1, true, ""},
		{"TEE_TCB_SVN", 264, 1, false, "TEE_TCB_INFO_HASH"},
		{"TEE_TCB_SVN with its hash", 264, 1, true, ""},
		{"after TEE_TCB_INFO", 495, 1, false, ""},
		{"ATTRIBUTES", 512, 1, false, "TEE_INFO_HASH"},
		{"ATTRIBUTES with their hash", 512, 1, true, ""},
		{"the last byte", 1023, 1, false, "TEE_INFO_HASH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := tdxtest.TD{}.Report()
			raw[c.at] = c.value
			if c.rehashed {
				tdxtest.Rehash(raw)
			}
			var want error
			if c.want != "" {
				want = tdx.ErrMalformed
			}
			_, err := tdx.ParseReport(raw)
			checkError(t, err, want, c.want)
		})
	}
	for _, size := range []int{0, 1023, 1025, 1184} {
		_, err := tdx.ParseReport(make([]byte, size))
		checkError(t, err, tdx.ErrMalformed, "bytes, want 1024")
	}
}

// CheckReport names each field in which a quote and a report differ.
func TestCheckReport(t *testing.T) {
	m := newMachine(t)
	for _, version := range []uint16{4, 5} {
		q := m.quote(t, wholeTD(), tdxtest.QuoteOptions{Version: version})
		if err := q.CheckReport(must(tdx.ParseReport(wholeTD().Report()))(t)); err != nil {
			t.Errorf("version %d: %v", version, err)
		}
		attributes := tdx.Attributes(1)
		for name, change := range map[string]func(*tdxtest.TD){
			"TEE_TCB_SVN":    func(d *tdxtest.TD) { d.TEETCBSVN[15]++ },
			"MRSEAM":         func(d *tdxtest.TD) { d.MRSEAM[47]++ },
			"MRSIGNERSEAM":   func(d *tdxtest.TD) { d.MRSIGNERSEAM[0]++ },
			"SEAMATTRIBUTES": func(d *tdxtest.TD) { d.SEAMAttributes++ },
			"ATTRIBUTES":     func(d *tdxtest.TD) { d.Attributes = &attributes },
			"XFAM":           func(d *tdxtest.TD) { d.XFAM++ },
			"MRTD":           func(d *tdxtest.TD) { d.MRTD[0]++ },
			"MRCONFIGID":     func(d *tdxtest.TD) { d.MRCONFIGID[0]++ },
			"MROWNER":        func(d *tdxtest.TD) { d.MROWNER[0]++ },
			"MROWNERCONFIG":  func(d *tdxtest.TD) { d.MROWNERCONFIG[0]++ },
			"RTMR0 to RTMR3": func(d *tdxtest.TD) { d.RTMRs[3][47]++ },
			"REPORTDATA":     func(d *tdxtest.TD) { d.ReportData[63]++ },
			"TEE_TCB_SVN_2":  func(d *tdxtest.TD) { d.TEETCBSVN2[0]++ },
			"MRSERVICETD":    func(d *tdxtest.TD) { d.ServiceTD[0]++ },
		} {
			other := wholeTD()
			change(&other)
			err := q.CheckReport(must(tdx.ParseReport(other.Report()))(t))
			if only15 := name == "TEE_TCB_SVN_2" || name == "MRSERVICETD"; version == 4 && only15 {
				checkError(t, err, nil, "")
				continue
			}
			checkError(t, err, tdx.ErrOtherReport, "they differ in "+name)
			if err != nil && err.Error() != tdx.ErrOtherReport.Error()+": they differ in "+name {
				t.Errorf("version %d, %s: %v", version, name, err)
			}
		}
	}
}

func FuzzParseReport(f *testing.F) {
	f.Add(wholeTD().Report())
	f.Add(tdxtest.TD{}.Report())
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := tdx.ParseReport(raw)
		if err != nil {
			if !is(err, tdx.ErrMalformed) {
				t.Errorf("error %v does not wrap ErrMalformed", err)
			}
			return
		}
		if !bytes.Equal(r.Raw(), raw) || !tdx.IsReport(raw) {
			t.Error("the report differs from the parsed bytes")
		}
	})
}
