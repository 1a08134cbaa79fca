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

// source is a fake. Each test sets what it reports.
type source func(ctx context.Context, data snp.ReportData) (*snp.Report, error)

func (s source) Report(ctx context.Context, data snp.ReportData) (*snp.Report, error) {
	return s(ctx, data)
}
func (source) String() string { return "/dev/fake" }

// endorser is a fake with one chain.
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
				t.Error("the chain or the endorsement is missing")
			}
		})
	}
}

// TestUnusableEndorsement checks that evidence leaves out an unusable endorsement and
// reports why. The Verifier would refuse evidence with another utility VM's endorsement.
func TestUnusableEndorsement(t *testing.T) {
	other := snp.Measurement{1}
	for name, c := range map[string]struct {
		endorsement *uvm.Endorsement
		err         error
		want        string
	}{
		"unreadable": {nil, errors.New("reference-info-base64: illegal base64"), "illegal base64"},
		"another utility VM's": {endorsementOf(t, other), nil,
			"is for measurement " + hex.EncodeToString(other[:]) + " but the report's measurement is " + hex.EncodeToString(measured[:])},
	} {
		t.Run(name, func(t *testing.T) {
			attester := NewAttester(Config{
				Source: honest(t), Endorser: endorser{chain: new(vcek.Chain)}, Endorsement: c.endorsement, EndorsementErr: c.err,
			})
			evidence, err := attester.Evidence(t.Context(), []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if evidence.Endorsement != nil || len(evidence.Omitted) != 1 || evidence.Omitted[0].Part != UVMEndorsement ||
				!strings.Contains(evidence.Omitted[0].String(), c.want) {
				t.Errorf("endorsement %v, omitted %v; want %q", evidence.Endorsement, evidence.Omitted, c.want)
			}
		})
	}
}

func TestOmissionExplains(t *testing.T) {
	for claim, want := range map[string]string{
		"x-ms-compliance-status":                               UVMEndorsement,
		"x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn": UVMEndorsement,
		"secureboot": EventLog, "x-ms-azurevm-dbvalidated": EventLog,
		"x-ms-sevsnpvm-hostdata": "", "x-ms-isolation-tee.x-ms-compliance-status": "",
	} {
		for _, part := range []string{UVMEndorsement, EventLog, AKCertificate} {
			if (Omission{Part: part}).Explains(claim) != (part == want) {
				t.Errorf("%s explains %s: want %t", part, claim, part == want)
			}
		}
	}
}

func TestEvidenceRefuses(t *testing.T) {
	unendorsed := refusal.Newf(refusal.NoEndorsements, "unknown chip")
	noDevice := errors.New("no report source: tried /dev/sev-guest (not found)")
	for name, c := range map[string]struct {
		config Config
		kind   error
		want   string
	}{
		"no device": {
			Config{Source: source(func(context.Context, snp.ReportData) (*snp.Report, error) { return nil, noDevice })},
			ErrNoEvidence, "no evidence: no report source: tried /dev/sev-guest (not found)",
		},
		"report over different data": {
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
		"no certificates": {
			Config{Source: honest(t), Endorser: endorser{err: unendorsed}},
			ErrNoEndorsements, "unknown chip",
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

// TestReportEnded checks a source that fails because the request ended. That is not a
// fault of the machine.
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
