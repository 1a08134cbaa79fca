package tdx_test

import (
	"crypto/x509"
	"encoding/binary"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-tdx-guest/abi"
	pb "github.com/google/go-tdx-guest/proto/tdx"
	"github.com/google/go-tdx-guest/verify"
	"github.com/google/logger"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

// google/go-tdx-guest reads the fields of version 4 as this package does, and accepts and
// refuses the same quotes of the emulated silicon.
func TestOtherImplementation(t *testing.T) {
	logger.Init("go-tdx-guest", false, false, io.Discard) // it logs to standard error
	m := newMachine(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(m.vendor.RootsPEM())
	for name, c := range map[string]struct {
		o    tdxtest.QuoteOptions
		good bool
	}{
		"good":            {tdxtest.QuoteOptions{}, true},
		"padded":          {tdxtest.QuoteOptions{Padding: 70}, true},
		"signature":       {tdxtest.QuoteOptions{Key: must(m.vendor.NewPlatform(tdxtest.PlatformOptions{}))(t).Key()}, false},
		"QE's REPORTDATA": {tdxtest.QuoteOptions{QE: func(report []byte) { report[320] ^= 1 }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			raw := m.raw(t, wholeTD(), c.o)
			q := must(tdx.ParseQuote(raw))(t)
			parsed := must(abi.QuoteToProto(raw))(t)
			theirs, ok := parsed.(*pb.QuoteV4)
			if !ok {
				t.Fatalf("it is %T", parsed)
			}
			if diff := cmp.Diff(tdOfTheirs(theirs.GetTdQuoteBody()), tdOf(q)); diff != "" {
				t.Errorf("(-theirs +ours):\n%s", diff)
			}
			theirErr := verify.TdxQuote(parsed, &verify.Options{TrustedRoots: pool, Now: now})
			v := m.verification()
			v.ReportData = q.ReportData()
			_, err := q.Verify(v)
			if (theirErr == nil) != c.good || (err == nil) != c.good {
				t.Errorf("theirs %v, ours %v", theirErr, err)
			}
		})
	}
}

func tdOfTheirs(b *pb.TDQuoteBody) tdxtest.TD {
	attributes := tdx.Attributes(binary.LittleEndian.Uint64(b.GetTdAttributes()))
	td := tdxtest.TD{
		TEETCBSVN: tdx.SVN(b.GetTeeTcbSvn()), MRSEAM: tdx.Measurement(b.GetMrSeam()), MRSIGNERSEAM: tdx.Measurement(b.GetMrSignerSeam()),
		SEAMAttributes: binary.LittleEndian.Uint64(b.GetSeamAttributes()), Attributes: &attributes, XFAM: binary.LittleEndian.Uint64(b.GetXfam()),
		MRTD: tdx.Measurement(b.GetMrTd()), MRCONFIGID: tdx.Measurement(b.GetMrConfigId()), MROWNER: tdx.Measurement(b.GetMrOwner()),
		MROWNERCONFIG: tdx.Measurement(b.GetMrOwnerConfig()), ReportData: tdx.ReportData(b.GetReportData()),
	}
	for i, rtmr := range b.GetRtmrs() {
		td.RTMRs[i] = tdx.Measurement(rtmr)
	}
	return td
}
