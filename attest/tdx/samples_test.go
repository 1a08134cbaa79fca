package tdx_test

import (
	"encoding/binary"
	"testing"
	"time"

	"skr/attest/tdx"
	"skr/test/samples"
)

// ofHCL returns the TD report and the claims in an HCL report (microsoft/openvmm,
// openhcl_attestation_protocol, igvm_attest/get.rs).
func ofHCL(blob []byte) (report, claims []byte) {
	return blob[32 : 32+tdx.ReportSize], blob[1236:][:binary.LittleEndian.Uint32(blob[1232:])]
}

// Genuine quotes verify with Intel's root, bind the claims of their machine, and have the level
// that their collateral says.
func TestSampleQuotes(t *testing.T) {
	collateral := must(tdx.ParseCollateral(samples.Read(t, "tdx/flashbots-2026-02-collateral.yaml")))(t)
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		file, hcl string
		version   uint16
		svn       string
		level     tdx.Status // "" if the collateral is of other platforms
	}{
		{"flashbots-2025-12-td-quote-v4.bin", "flashbots-2025-12-hcl-report.bin", 4, "07010300000000000000000000000000", tdx.UpToDate},
		{"flashbots-2026-td-quote-v5-low-tcb.bin", "", 5, "07010300000000000000000000000000", tdx.NotSupported},
		{"microsoft-cat-td-quote-v4.bin", "", 4, "07010300000000000000000000000000", tdx.NotSupported},
		{"trustee-td-quote-v4.bin", "trustee-hcl-report.bin", 4, "02010600000000000000000000000000", ""},
	} {
		t.Run(c.file, func(t *testing.T) {
			raw := samples.Read(t, "tdx/"+c.file)
			q := must(tdx.ParseQuote(raw))(t)
			if q.Version() != c.version || q.TEETCBSVN().String() != c.svn || q.MRTD().IsZero() || q.RTMRs() != [4]tdx.Measurement{} {
				t.Errorf("got %s, MRTD %s, RTMRs %v", q, q.MRTD(), q.RTMRs())
			}
			v := tdx.Verification{ReportData: q.ReportData(), Now: at}
			if c.hcl != "" {
				report, claims := ofHCL(samples.Read(t, "tdx/"+c.hcl))
				v.ReportData = tdx.Bind(claims)
				if err := q.CheckReport(must(tdx.ParseReport(report))(t)); err != nil {
					t.Error(err)
				}
			}
			if result := must(q.Verify(v))(t); result.Level != nil || len(result.NotLookedAt) != 4 {
				t.Errorf("without collateral: %+v", result)
			}
			v.Collateral = collateral
			result, err := q.Verify(v)
			if c.level == "" {
				checkError(t, err, tdx.ErrCollateral, "TCB info is for FMSPC 90c06f000000")
			} else if err != nil || result.Level.Status != c.level || result.NotLookedAt != nil {
				t.Errorf("level %+v, %v", result, err)
			}
			v.Policy, v.Collateral = strict(t), nil
			_, err = q.Verify(v)
			checkError(t, err, tdx.ErrNoCollateral, "is missing")

			raw[len(raw)/8] ^= 1 // in the body
			_, err = must(tdx.ParseQuote(raw))(t).Verify(tdx.Verification{ReportData: v.ReportData, Now: at})
			if !is(err, tdx.ErrQuoteSignature) {
				t.Errorf("a changed quote: %v", err)
			}
		})
	}
}

// The quote of another project's tests is genuine, but text was added to it. Without the text it
// verifies.
func TestSampleWithText(t *testing.T) {
	raw := samples.Read(t, "tdx/googletdx-td-quote-v4-spr.bin")
	at := time.Date(2023, 6, 1, 0, 0, 0, 0, time.UTC)
	added := must(tdx.ParseQuote(raw))(t)
	_, err := added.Verify(tdx.Verification{ReportData: added.ReportData(), Now: at})
	checkError(t, err, tdx.ErrQuoteSignature, "39 bytes after it are not all zero")
	q := must(tdx.ParseQuote(raw[:len(raw)-39]))(t)
	if _, err := q.Verify(tdx.Verification{ReportData: q.ReportData(), Now: at}); err != nil {
		t.Error(err)
	}
	if q.RTMRs()[0].IsZero() || q.ReportData() == (tdx.ReportData{}) {
		t.Errorf("RTMRs %v, REPORTDATA %s", q.RTMRs(), q.ReportData())
	}
}

// TD reports in genuine HCL reports bind the claims beside them.
func TestSampleReports(t *testing.T) {
	for _, file := range []string{"flashbots-2025-12-hcl-report.bin", "flashbots-hclreport.bin", "kinvolk-hcl-report-tdx.bin", "trustee-hcl-report.bin"} {
		report, claims := ofHCL(samples.Read(t, "tdx/"+file))
		r := must(tdx.ParseReport(report))(t)
		if r.ReportData() != tdx.Bind(claims) || r.Attributes().Check() != nil || r.MRTD().IsZero() {
			t.Errorf("%s: REPORTDATA %s, attributes %s, MRTD %s", file, r.ReportData(), r.Attributes(), r.MRTD())
		}
	}
}
