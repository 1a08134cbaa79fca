package emulator

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/test/emulator/imds"
	"skr/test/snptest"
)

// cacheControl is the value in THIM's answers since 2026.
const cacheControl = "3153600"

// silicon is the host below all machines: its processor, and the roots that a
// Verifier must trust for it.
type silicon struct {
	vendor *snptest.Vendor
	chip   *snptest.Chip
	roots  []*vcek.Roots // AMD's own and the emulated vendor's

	hasVLEK atomic.Bool // the cloud provider has loaded its key
}

var _ imds.Certifier = (*silicon)(nil)

func newSilicon(c Config) (*silicon, error) {
	vendor := c.Vendor
	if vendor == nil {
		made, err := snptest.NewVendor(c.Product, c.Now())
		if err != nil {
			return nil, err
		}
		vendor = made
	}
	chip, err := vendor.NewChip()
	if err != nil {
		return nil, err
	}
	own, err := vcek.ParseRoots(vendor.RootsPEM())
	if err != nil {
		return nil, err
	}
	return &silicon{vendor: vendor, chip: chip, roots: []*vcek.Roots{vcek.BuiltinRoots(), own}}, nil
}

// Certification returns THIM's answer for this host's chip.
func (s *silicon) Certification(w imds.Wanted) (imds.Certification, error) {
	id := s.chip.ID()
	if w.PlatformID != "" && !strings.EqualFold(w.PlatformID, hex.EncodeToString(id[:])) {
		return imds.Certification{}, imds.ErrNoCertificate
	}
	tcb := s.chip.TCB()
	if w.TCB != "" {
		raw, err := strconv.ParseUint(w.TCB, 16, 64)
		if err != nil {
			return imds.Certification{}, imds.ErrNoCertificate
		}
		tcb = snp.NewTCB(raw, tcb.Product())
	}
	switch {
	case w.Product == "":
		return s.certification(tcb)
	case w.Product == s.vendor.Product().String() && s.hasVLEK.Load():
		return s.vlekCertification(tcb)
	}
	return imds.Certification{}, imds.ErrNoCertificate
}

func (s *silicon) certification(tcb snp.TCB) (imds.Certification, error) {
	leaf, err := s.chip.VCEK(tcb)
	if err != nil {
		return imds.Certification{}, err
	}
	return thimAnswer(tcb, leaf, s.vendor.ChainPEM()), nil
}

func (s *silicon) vlekCertification(tcb snp.TCB) (imds.Certification, error) {
	leaf, err := s.chip.VLEK(tcb)
	if err != nil {
		return imds.Certification{}, err
	}
	issuers, err := s.vendor.VLEKChainPEM()
	if err != nil {
		return imds.Certification{}, err
	}
	return thimAnswer(tcb, leaf, issuers), nil
}

func thimAnswer(tcb snp.TCB, leaf, issuers []byte) imds.Certification {
	return imds.Certification{
		CacheControl:     cacheControl,
		CertificateChain: string(issuers),
		TCBM:             strings.ToUpper(tcb.Hex()),
		VCEKCert:         string(leaf),
	}
}

// evidence returns the attestation service's own report, in the JSON form of a
// request.
func (s *silicon) evidence(data snp.ReportData) ([]byte, error) {
	report, err := s.chip.Report(data, snptest.Options{})
	if err != nil {
		return nil, fmt.Errorf("making the attestation service's report: %w", err)
	}
	certificates, err := s.certification(s.chip.TCB())
	if err != nil {
		return nil, err
	}
	chain := certificates.VCEKCert + certificates.CertificateChain
	return json.Marshal(map[string]string{
		"SnpReport":     base64.RawURLEncoding.EncodeToString(report),
		"VcekCertChain": base64.RawURLEncoding.EncodeToString([]byte(chain)),
	})
}
