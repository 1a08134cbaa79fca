package vcek

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/test/snptest"
)

// A leaf reports the same values alone and in its chain.
func TestLeaf(t *testing.T) {
	for _, product := range []snp.Product{snp.Milan, snp.Turin} {
		chip := newTestChip(t, product)
		pem, err := chip.ChainPEM(chip.TCB())
		if err != nil {
			t.Fatal(err)
		}
		chain, err := ParsePEM(pem)
		if err != nil {
			t.Fatal(err)
		}
		all := chain.Certificates()
		if len(all) != 3 || !IsLeaf(all[0]) || IsLeaf(all[1]) || IsLeaf(all[2]) {
			t.Fatalf("%d certificates, want leaf, intermediate and root", len(all))
		}
		leaf, err := ParseLeaf(all[0])
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Product() != product || leaf.TCB() != chain.TCB() || !bytes.Equal(leaf.HWID(), chip.ID().HWID(product)) {
			t.Errorf("%s: got %s, %s, %x", product, leaf.Product(), leaf.TCB(), leaf.HWID())
		}
		if _, err := ParseLeaf(all[1]); err == nil {
			t.Errorf("%s: an intermediate was accepted as a leaf", product)
		}
	}
}

// Verify runs the three steps. Each step detects its own fault.
func TestSteps(t *testing.T) {
	chip, other := newTestChip(t, snp.Milan), newTestChip(t, snp.Milan)
	pem, err := chip.ChainPEM(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := ParsePEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := ParseRoots(chip.Vendor().RootsPEM())
	if err != nil {
		t.Fatal(err)
	}
	good, foreign := reportOf(t, chip, snptest.Options{}), reportOf(t, other, snptest.Options{})
	for _, c := range []struct {
		name string
		err  error
		kind error  // nil if no step fails
		want string // prefix of the error
	}{
		{"endorses", chain.Endorses(good), nil, ""},
		{"endorses another chip", chain.Endorses(foreign), ErrNotEndorsed, "comparing certificate and report: the report comes from chip"},
		{"certificates", chain.VerifyCertificates(roots, time.Now()), nil, ""},
		{"foreign roots", chain.VerifyCertificates(BuiltinRoots(), time.Now()), ErrUntrustedChain, "verifying certificate chain: root"},
		{"signature", chain.VerifySignature(good), nil, ""},
		{"foreign signature", chain.VerifySignature(foreign), ErrReportSignature, "verifying report: the signature"},
		{"all", chain.Verify(good, roots, time.Now()), nil, ""},
		{"all, foreign", chain.Verify(foreign, roots, time.Now()), ErrNotEndorsed, "comparing"},
	} {
		if !errors.Is(c.err, c.kind) || c.err != nil && !strings.HasPrefix(c.err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, c.err, c.want)
		}
	}
}

func newTestChip(t *testing.T, p snp.Product) *snptest.Chip {
	t.Helper()
	vendor, err := snptest.NewVendor(p, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chip, err := vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	return chip
}
