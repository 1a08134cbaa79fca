package vcek

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/test/snptest"
)

// now is the default time of the tests.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// maker is an emulated AMD with two of its chips.
type maker struct {
	vendor *snptest.Vendor
	roots  *Roots
	first  *snptest.Chip
	second *snptest.Chip
}

// Keys take a while to generate, so each product has one maker. Tests that update
// firmware make their own chip.
var milan, genoa, turin = makerOf(snp.Milan), makerOf(snp.Genoa), makerOf(snp.Turin)

func makerOf(p snp.Product) func(testing.TB) *maker {
	once := sync.OnceValues(func() (*maker, error) {
		vendor, err := snptest.NewVendor(p, now)
		if err != nil {
			return nil, err
		}
		m := &maker{vendor: vendor}
		if m.first, err = vendor.NewChip(); err != nil {
			return nil, err
		}
		if m.second, err = vendor.NewChip(); err != nil {
			return nil, err
		}
		m.roots, err = ParseRoots(vendor.RootsPEM())
		return m, err
	})
	return func(t testing.TB) *maker {
		t.Helper()
		m, err := once()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
}

func (m *maker) newChip(t testing.TB) *snptest.Chip {
	t.Helper()
	chip, err := m.vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	return chip
}

func reportOf(t testing.TB, chip *snptest.Chip, o snptest.Options) *snp.Report {
	t.Helper()
	raw, err := chip.Report(snp.Bind([]byte("runtime data")), o)
	if err != nil {
		t.Fatal(err)
	}
	report, err := snp.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func chainPEM(t testing.TB, chip *snptest.Chip, tcb snp.TCB) []byte {
	t.Helper()
	pem, err := chip.ChainPEM(tcb)
	if err != nil {
		t.Fatal(err)
	}
	return pem
}

func chainOf(t testing.TB, chip *snptest.Chip) *Chain {
	t.Helper()
	return mustParse(t, chainPEM(t, chip, chip.TCB()))
}

// lyingChain returns chip's chain with a leaf that contains false values.
func lyingChain(t testing.TB, chip *snptest.Chip, lies snptest.Lies) *Chain {
	t.Helper()
	leaf, err := chip.LyingVCEK(chip.TCB(), lies)
	if err != nil {
		t.Fatal(err)
	}
	return mustParse(t, append(leaf, chip.Vendor().ChainPEM()...))
}

// thimOfVLEK returns the answer of a node whose provider has loaded a VLEK.
func thimOfVLEK(t testing.TB, chip *snptest.Chip) []byte {
	t.Helper()
	document, err := chip.VLEKDocument(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func vlekChain(t testing.TB, chip *snptest.Chip) *Chain {
	t.Helper()
	leaf, err := chip.VLEK(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	issuers, err := chip.Vendor().VLEKChainPEM()
	if err != nil {
		t.Fatal(err)
	}
	return mustParse(t, append(leaf, issuers...))
}

func mustParse(t testing.TB, pem []byte) *Chain {
	t.Helper()
	chain, err := ParsePEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func thimOf(t testing.TB, chip *snptest.Chip, tcb snp.TCB) []byte {
	t.Helper()
	document, err := chip.THIMDocument(tcb)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func crlf(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")) }
