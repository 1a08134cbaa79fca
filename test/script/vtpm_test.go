package script

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"skr/attest/snp"
	"skr/test/snptest"
	"skr/test/vtpmtest"
)

// vm writes the evidence of an emulated confidential VM into the script's directory, one file
// for each part, and the evidence of a start without secure boot into off. $AMD_ROOTS and
// $AK_ROOTS are the roots, $CHAIN is the chain, $MEASUREMENT is the paravisor's, and $PCR4 is
// a good value. No key of Azure signed the machine, as with a guest that anyone can start.
func vm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: vm")
	}
	vendor, err := snptest.NewVendor(snp.Milan, time.Now())
	ts.Check(err)
	chip, err := vendor.NewChip()
	ts.Check(err)
	ak, err := vtpmtest.NewAK()
	ts.Check(err)
	index, err := vtpmtest.HCL(chip, vtpmtest.Claims(ak.Public(), true), vtpmtest.HCLOptions{})
	ts.Check(err)
	chain, err := chip.ChainPEM(chip.TCB())
	ts.Check(err)
	write := func(name string, data []byte) string {
		path := ts.MkAbs(name)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.WriteFile(path, data, 0o600))
		return path
	}
	for dir, on := range map[string]bool{"on/": true, "off/": false} {
		log := vtpmtest.SecureBootLog(on)
		quote, err := ak.Quote(vtpmtest.QuoteOptions{PCRs: log.PCRs(), Nonce: []byte("0123456789abcdef")})
		ts.Check(err)
		write(dir+"hcl.bin", index)
		write(dir+"quote.bin", quote)
		write(dir+"pcrs.json", pcrsJSON(ts, log))
		write(dir+"log.bin", log.Raw())
		write(dir+"ak.der", ak.Index())
		ts.Setenv("PCR4", log.PCRs()[4].String()) // the same in both
	}
	ts.Setenv("MEASUREMENT", fmt.Sprintf("%x", sha512.Sum384([]byte("TEST ONLY"))))
	ts.Setenv("NONCE", hex.EncodeToString([]byte("0123456789abcdef")))
	ts.Setenv("CHAIN", write("chain.pem", chain))
	ts.Setenv("AK_ROOTS", write("ak-roots.pem", ak.RootsPEM()))
	ts.Setenv("AMD_ROOTS", write("amd-roots.pem", vendor.RootsPEM()))
	write("header.bin", vtpmtest.NewLog().Raw())
}

// pcrsJSON returns the values of the PCRs as skrctl reads them.
func pcrsJSON(ts *testscript.TestScript, log *vtpmtest.Log) []byte {
	pcrs := map[int]string{}
	for pcr, value := range log.PCRs() {
		pcrs[pcr] = value.String()
	}
	text, err := json.Marshal(pcrs)
	ts.Check(err)
	return text
}
