package tdx_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

var update = flag.Bool("update", false, "make new golden files")

// goldenClaims are what the golden quotes bind.
const goldenClaims = `{"keys":[],"vm-configuration":{}}`

// remake writes quotes of one new platform, its TD report, root and collateral.
func remake(t *testing.T) {
	t.Helper()
	m := newMachine(t)
	td := wholeTD()
	td.TEETCBSVN, td.TEETCBSVN2, td.MRSIGNERSEAM, td.SEAMAttributes = tdx.SVN{7, 1, 3}, tdx.SVN{8, 1, 3}, tdx.Measurement{}, 0
	td.ReportData = tdx.Bind([]byte(goldenClaims))
	for name, data := range map[string][]byte{
		"td-report.bin": td.Report(), "quote-4.bin": m.raw(t, td, tdxtest.QuoteOptions{Padding: 70}), "quote-5.bin": m.raw(t, td, tdxtest.QuoteOptions{Version: 5}),
		"roots.pem":       m.vendor.RootsPEM(),
		"collateral.json": must(must(m.vendor.Collateral(m.platform, tdxtest.CollateralOptions{}))(t).Bundle())(t),
	} {
		if err := os.WriteFile(golden(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func golden(name string) string { return filepath.Join("testdata", name) }

func readGolden(tb testing.TB, name string) []byte {
	tb.Helper()
	return must(os.ReadFile(golden(name)))(tb)
}

// The committed evidence of emulated silicon is read as the committed texts say, and verifies.
func TestGolden(t *testing.T) {
	if *update {
		remake(t)
	}
	roots, collateral := must(tdx.ParseRoots(readGolden(t, "roots.pem")))(t), must(tdx.ParseCollateral(readGolden(t, "collateral.json")))(t)
	report := must(tdx.ParseReport(readGolden(t, "td-report.bin")))(t)
	for _, name := range []string{"quote-4", "quote-5"} {
		q := must(tdx.ParseQuote(readGolden(t, name+".bin")))(t)
		result := must(q.Verify(tdx.Verification{Roots: roots, ReportData: tdx.Bind([]byte(goldenClaims)), Collateral: collateral, Now: now}))(t)
		if err := q.CheckReport(report); err != nil {
			t.Error(err)
		}
		compareGolden(t, name+".txt", quoteText(q)+fmt.Sprintf("level %s\nnot looked at %q\n", result.Level, result.NotLookedAt))
	}
	hash, _ := report.SERVTDHash()
	compareGolden(t, "td-report.txt", sharedText(report)+fmt.Sprintf("version %d\nCPUSVN %x\nMAC %x\nTEE_TCB_SVN_2 %s\nSERVTD_HASH %s\n",
		report.Version(), report.CPUSVN(), report.MAC(), report.TEETCBSVN2(), hash))
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden(name), []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(readGolden(t, name)), got); diff != "" {
		t.Errorf("%s (-golden +got):\n%s", name, diff)
	}
}

func quoteText(q *tdx.Quote) string {
	svn2, is15 := q.TEETCBSVN2()
	service, _ := q.MRSERVICETD()
	qe := q.QE()
	text := sharedText(q) + fmt.Sprintf("version %d\nuser data %x\nTDX 1.5 %v\nTEE_TCB_SVN_2 %s\nMRSERVICETD %s\nPCK %s\nPPID %x\nPCEID %x\nCPUSVN %x\n",
		q.Version(), q.UserData(), is15, svn2, service, q.PCK(), q.PCK().PPID, q.PCK().PCEID, q.PCK().CPUSVN)
	text += fmt.Sprintf("QE CPUSVN %x\nQE MISCSELECT %08x\nQE ATTRIBUTES %x\nQE MRENCLAVE %x\n"+
		"QE MRSIGNER %x\nQE ISVPRODID %d\nQE ISVSVN %d\nQE REPORTDATA %s\nQE auth %x\n",
		qe.CPUSVN(), qe.MISCSELECT(), qe.Attributes(), qe.MRENCLAVE(), qe.MRSIGNER(), qe.ISVPRODID(), qe.ISVSVN(), qe.ReportData(), qe.AuthenticationData())
	for _, c := range q.Certificates() {
		text += fmt.Sprintf("certificate %s of %s\n", c.Subject.CommonName, strings.Join(c.Subject.Organization, ""))
	}
	return text
}

func sharedText(b both) string {
	text := fmt.Sprintf("TEE_TCB_SVN %s\nMRSEAM %s\nMRSIGNERSEAM %s\nSEAMATTRIBUTES %016x\nATTRIBUTES %s\nXFAM %016x\n"+
		"MRTD %s\nMRCONFIGID %s\nMROWNER %s\nMROWNERCONFIG %s\n",
		b.TEETCBSVN(), b.MRSEAM(), b.MRSIGNERSEAM(), b.SEAMAttributes(), b.Attributes(), b.XFAM(), b.MRTD(), b.MRCONFIGID(), b.MROWNER(), b.MROWNERCONFIG())
	for i, m := range b.RTMRs() {
		text += fmt.Sprintf("RTMR%d %s\n", i, m)
	}
	return text + fmt.Sprintf("REPORTDATA %s\n", b.ReportData())
}
