package attest

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/internal/refusal"
	"skr/test/uvmtest"
)

var measured = snp.Measurement{0: 0xab, 47: 0xcd}

// source is a fake: what it reports is set by each test.
type source func(ctx context.Context, data snp.ReportData) (*snp.Report, error)

func (s source) Report(ctx context.Context, data snp.ReportData) (*snp.Report, error) {
	return s(ctx, data)
}
func (source) String() string { return "/dev/fake" }

// endorser is a fake that knows one chain.
type endorser struct {
	chain *vcek.Chain
	err   error
}

func (e endorser) Chain(context.Context, *snp.Report) (*vcek.Chain, error) { return e.chain, e.err }

// newReport is an unsigned report of version 2 (AMD 56860 table 23).
func newReport(t *testing.T, data snp.ReportData) *snp.Report {
	t.Helper()
	raw := make([]byte, snp.ReportSize)
	binary.LittleEndian.PutUint32(raw[0x000:], 2)
	binary.LittleEndian.PutUint64(raw[0x008:], 1<<17) // POLICY: reserved, must be one
	binary.LittleEndian.PutUint32(raw[0x034:], 1)     // SIGNATURE_ALGO: ECDSA P-384 with SHA-384
	copy(raw[0x050:], data[:])
	copy(raw[0x090:], measured[:])
	report, err := snp.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func honest(t *testing.T) source {
	return func(_ context.Context, data snp.ReportData) (*snp.Report, error) { return newReport(t, data), nil }
}

func endorsementOf(t *testing.T, m [48]byte) *uvm.Endorsement {
	t.Helper()
	signer, err := uvmtest.NewEndorser()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signer.Endorse(m, 1, "TEST-UVM")
	if err != nil {
		t.Fatal(err)
	}
	endorsement, err := uvm.ParseEndorsement(raw)
	if err != nil {
		t.Fatal(err)
	}
	return endorsement
}

func TestEvidence(t *testing.T) {
	chain, data := new(vcek.Chain), []byte(`{"keys":[]}`)
	for name, endorsement := range map[string]*uvm.Endorsement{
		"with endorsement": endorsementOf(t, measured),
		"without":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			attester := NewAttester(Config{Source: honest(t), Endorser: endorser{chain: chain}, Endorsement: endorsement})
			evidence, err := attester.Evidence(t.Context(), data)
			if err != nil {
				t.Fatal(err)
			}
			if evidence.Report.ReportData() != snp.Bind(data) || string(evidence.RuntimeData) != string(data) {
				t.Error("the report is not over the runtime data")
			}
			if evidence.Chain != chain || evidence.Endorsement != endorsement {
				t.Error("the chain or the endorsement was lost")
			}
		})
	}
}

func TestEvidenceRefuses(t *testing.T) {
	unendorsed := refusal.Newf(refusal.NoEndorsements, "nobody knows the chip")
	noDevice := errors.New("no report source: tried /dev/sev-guest (not found)")
	other := snp.Measurement{1}
	for name, c := range map[string]struct {
		config Config
		kind   error
		want   string
	}{
		"no device": {
			Config{Source: source(func(context.Context, snp.ReportData) (*snp.Report, error) { return nil, noDevice })},
			ErrNoEvidence, "no evidence: no report source: tried /dev/sev-guest (not found)",
		},
		"report over other data": {
			Config{Source: source(func(context.Context, snp.ReportData) (*snp.Report, error) {
				return newReport(t, snp.Bind([]byte("other"))), nil
			})},
			ErrNoEvidence, "/dev/fake answered with a report over other data",
		},
		"report with a tail after the hash": {
			Config{Source: source(func(_ context.Context, data snp.ReportData) (*snp.Report, error) {
				data[63] = 1
				return newReport(t, data), nil
			})},
			ErrNoEvidence, "over other data",
		},
		"endorsement of another utility VM": {
			Config{Source: honest(t), Endorser: endorser{chain: new(vcek.Chain)}, Endorsement: endorsementOf(t, other)},
			ErrNoEvidence, "is for measurement " + hex.EncodeToString(other[:]) + " but the report's measurement is " + hex.EncodeToString(measured[:]),
		},
		"no certificates": {
			Config{Source: honest(t), Endorser: endorser{err: unendorsed}},
			ErrNoEndorsements, "nobody knows the chip",
		},
	} {
		t.Run(name, func(t *testing.T) {
			evidence, err := NewAttester(c.config).Evidence(t.Context(), []byte("{}"))
			refused, ok := errors.AsType[*refusal.Error](err)
			if evidence != nil || !ok || !errors.Is(err, c.kind) || !strings.Contains(refused.Public(), c.want) {
				t.Errorf("got %v, %v; want %q", evidence, err, c.want)
			}
		})
	}
}

// TestReportEnded has a source that fails because the request is over, which is
// no fault of the machine.
func TestReportEnded(t *testing.T) {
	attester := NewAttester(Config{Source: source(func(context.Context, snp.ReportData) (*snp.Report, error) {
		return nil, errors.New("interrupted")
	})})
	passed, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if _, err := attester.Report(passed, nil); !errors.Is(err, refusal.Timeout) {
		t.Errorf("after the deadline: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := attester.Report(cancelled, nil); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoEvidence) {
		t.Errorf("after cancellation: %v", err)
	}
}
