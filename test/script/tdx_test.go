package script

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"skr/attest/tdx"
	"skr/test/tdxtest"
	"skr/test/vtpmtest"
)

// tdxFiles writes the evidence of an emulated TDX machine into the script's directory, with its
// boot evidence in boot, and serves its collateral. $INTEL_ROOTS are the roots, $PCS is the address of
// the service, and $MRTD identifies the guest. The machine old.bin is below all levels.
func tdxFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: tdx")
	}
	vendor, err := tdxtest.NewVendor(time.Now())
	ts.Check(err)
	platform, err := vendor.NewPlatform(tdxtest.PlatformOptions{})
	ts.Check(err)
	write := func(name string, data []byte) string {
		path := ts.MkAbs(name)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.WriteFile(path, data, 0o600))
		return path
	}
	ak, err := vtpmtest.NewAK()
	ts.Check(err)
	claims := vtpmtest.Claims(ak.Public(), true)
	td := tdxtest.TD{MRTD: tdx.Measurement{0xab, 1}, ReportData: tdx.Bind(claims)}
	debug := td
	debug.Attributes = new(tdx.Attributes)
	*debug.Attributes = 1
	quote := func(name string, p *tdxtest.Platform, td tdxtest.TD) {
		raw, err := p.Quote(td.Report(), tdxtest.QuoteOptions{Version: 5})
		ts.Check(err)
		write(name, raw)
	}
	quote("td-quote.bin", platform, td)
	quote("debug.bin", platform, debug)
	behind, err := vendor.NewPlatform(tdxtest.PlatformOptions{PCK: tdx.PCK{FMSPC: platform.PCK().FMSPC, SVNs: [16]uint8{1}}})
	ts.Check(err)
	quote("old.bin", behind, td)
	write("hcl.bin", vtpmtest.TDXHCL(td, claims, vtpmtest.HCLOptions{}))
	write("claims.json", claims)
	writeTDXBoot(ts, write, ak)

	collateral, err := vendor.Collateral(platform, tdxtest.CollateralOptions{})
	ts.Check(err)
	bundle, err := collateral.Bundle()
	ts.Check(err)
	write("collateral.json", bundle)
	for name, data := range map[string][]byte{
		"tcb-info.json": collateral.TCBInfo, "qe-identity.json": collateral.QEIdentity, "issuers.pem": collateral.Issuers,
		"pck.crl": collateral.PCKCRL, "root.crl": collateral.RootCRL,
	} {
		write("parts/"+name, data)
	}
	server := httptest.NewServer(collateral)
	ts.Defer(server.Close)
	ts.Setenv("PCS", server.URL)
	ts.Setenv("ROOT_CRL", server.URL+tdxtest.RootCRLPath)
	ts.Setenv("MRTD", td.MRTD.String())
	ts.Setenv("INTEL_ROOTS", write("intel-roots.pem", vendor.RootsPEM()))
}

// writeTDXBoot writes quote, PCRs and log of the TPM.
func writeTDXBoot(ts *testscript.TestScript, write func(string, []byte) string, ak *vtpmtest.AK) {
	log := vtpmtest.SecureBootLog(true)
	quote, err := ak.Quote(vtpmtest.QuoteOptions{PCRs: log.PCRs(), Nonce: []byte("0123456789abcdef")})
	ts.Check(err)
	write("boot/quote.bin", quote)
	write("boot/pcrs.json", pcrsJSON(ts, log))
	write("boot/log.bin", log.Raw())
}
