package tdx_test

import (
	"strings"
	"testing"
	"time"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

// now is the time of all tests.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// machine is an emulated Intel with one platform.
type machine struct {
	vendor   *tdxtest.Vendor
	platform *tdxtest.Platform
	roots    *tdx.Roots
	bound    tdx.ReportData
}

func newMachine(tb testing.TB) *machine { return newMachineOf(tb, tdxtest.PlatformOptions{}) }

func newMachineOf(tb testing.TB, o tdxtest.PlatformOptions) *machine {
	tb.Helper()
	vendor := must(tdxtest.NewVendor(now))(tb)
	return &machine{vendor, must(vendor.NewPlatform(o))(tb), must(tdx.ParseRoots(vendor.RootsPEM()))(tb), tdx.Bind([]byte(`{"keys":[]}`))}
}

// must returns a value, or fails the test.
func must[T any](value T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return value
	}
}

func (m *machine) raw(tb testing.TB, td tdxtest.TD, o tdxtest.QuoteOptions) []byte {
	tb.Helper()
	if td.ReportData == (tdx.ReportData{}) {
		td.ReportData = m.bound
	}
	return must(m.platform.Quote(td.Report(), o))(tb)
}

func (m *machine) quote(tb testing.TB, td tdxtest.TD, o tdxtest.QuoteOptions) *tdx.Quote {
	tb.Helper()
	return must(tdx.ParseQuote(m.raw(tb, td, o)))(tb)
}

// verification trusts the machine's vendor and demands nothing of collateral.
func (m *machine) verification() tdx.Verification {
	return tdx.Verification{Roots: m.roots, ReportData: m.bound, Now: now}
}

func (m *machine) collateral(tb testing.TB, o tdxtest.CollateralOptions) *tdx.Collateral {
	tb.Helper()
	return parsed(tb, must(m.vendor.Collateral(m.platform, o))(tb))
}

func parsed(tb testing.TB, c tdxtest.Collateral) *tdx.Collateral {
	tb.Helper()
	return &tdx.Collateral{
		TCBInfo: must(tdx.ParseTCBInfo(c.TCBInfo, c.Issuers))(tb), QEIdentity: must(tdx.ParseQEIdentity(c.QEIdentity, c.Issuers))(tb),
		PCKCRL: must(tdx.ParseCRL(c.PCKCRL))(tb), RootCRL: must(tdx.ParseCRL(c.RootCRL))(tb),
	}
}

// filled returns n bytes that count up from first.
func filled(n int, first byte) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = first + byte(i)
	}
	return data
}

func measurement(first byte) tdx.Measurement { return tdx.Measurement(filled(48, first)) }

// wholeTD is a TD in which no two fields are equal.
func wholeTD() tdxtest.TD {
	attributes := tdx.Attributes(1<<28 | 1<<63)
	return tdxtest.TD{
		TEETCBSVN: tdx.SVN(filled(16, 7)), TEETCBSVN2: tdx.SVN(filled(16, 9)), MRSEAM: measurement(0x10), MRSIGNERSEAM: measurement(0x20),
		MRTD: measurement(0x30), MRCONFIGID: measurement(0x40), MROWNER: measurement(0x50), MROWNERCONFIG: measurement(0x60),
		RTMRs:          [4]tdx.Measurement{measurement(0x70), measurement(0x80), measurement(0x90), measurement(0xa0)},
		SEAMAttributes: 0x0102030405060708, XFAM: 0x1112131415161718, Attributes: &attributes,
		ReportData: tdx.ReportData(filled(64, 0xb0)), ServiceTD: measurement(0xc0),
	}
}

// checkError checks that err wraps want and has the text. Nil want means no error.
func checkError(tb testing.TB, err, want error, text string) {
	tb.Helper()
	switch {
	case want == nil && err != nil:
		tb.Errorf("refused: %v", err)
	case want != nil && (!is(err, want) || !strings.Contains(err.Error(), text)):
		tb.Errorf("error %v, want %q with %q", err, want, text)
	}
}
