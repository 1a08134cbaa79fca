package swtpm

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/tpm"
	"skr/attest/vtpm"
	"skr/test/snptest"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newChip(t *testing.T) *snptest.Chip {
	t.Helper()
	vendor, err := snptest.NewVendor(snp.Milan, now)
	if err != nil {
		t.Fatal(err)
	}
	chip, err := vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	return chip
}

func open(t *testing.T, m *Machine) *tpm.TPM {
	t.Helper()
	opened, err := tpm.Open(m.Address())
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// replay computes the SHA-256 registers from the log.
func replay(t *testing.T, log []byte) map[uint32][32]byte {
	t.Helper()
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(log[at:]) }
	log = log[32+u32(28):] // the first entry
	registers := make(map[uint32][32]byte)
	sizes := map[uint16]int{0x4: 20, 0xB: 32, 0xC: 48}
	for len(log) > 0 {
		pcr, at := u32(0), 12
		for range u32(8) {
			algorithm := binary.LittleEndian.Uint16(log[at:])
			if algorithm == 0xB {
				old := registers[pcr]
				registers[pcr] = sha256.Sum256(append(old[:], log[at+2:at+34]...))
			}
			at += 2 + sizes[algorithm]
		}
		log = log[at+4+int(u32(at)):]
	}
	return registers
}

func TestEventLogMatchesRegisters(t *testing.T) {
	m := Require(t, Config{})
	all, err := vtpm.Select(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	if err != nil {
		t.Fatal(err)
	}
	values, err := open(t, m).PCRs(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	registers := replay(t, m.EventLog())
	for pcr, value := range values {
		if value != registers[uint32(pcr)] {
			t.Errorf("PCR %d is %s, the log gives %x", pcr, value, registers[uint32(pcr)])
		}
	}
	if !bytes.Contains(m.EventLog(), []byte("UUID: "+m.VMID())) {
		t.Error("the log does not name the machine")
	}
}

func TestCertificateChain(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		kind   string
	}{
		{"Trusted Launch", Config{}, ".TrustedVM.Azure.windows.net"},
		{"confidential", Config{Chip: newChip(t), CertificateSize: 2048}, ".ConfidentialVM.Azure.windows.net"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := Require(t, test.config)
			der, err := open(t, m).ReadAKCertificate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			certificate, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(m.Root())
			intermediates.AddCert(m.Intermediate())
			if _, err := certificate.Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			}); err != nil {
				t.Error(err)
			}
			if !m.AK().Equal(certificate.PublicKey) {
				t.Error("the certificate is not for the AK")
			}
			if !strings.HasSuffix(certificate.Subject.CommonName, test.kind) || len(certificate.UnknownExtKeyUsage) != 2 {
				t.Errorf("subject %s, %d extended uses", certificate.Subject, len(certificate.UnknownExtKeyUsage))
			}
		})
	}
}

func TestHCLReport(t *testing.T) {
	for _, size := range []int{0, 2900} {
		m := Require(t, Config{Chip: newChip(t), HCLSize: size, Report: snptest.Options{Version: 5}})
		content, err := open(t, m).ReadIndex(t.Context(), tpm.HCLReport)
		if err != nil {
			t.Fatal(err)
		}
		if want := max(size, defaultHCLSize); len(content) != want {
			t.Errorf("the index has %d bytes, want %d", len(content), want)
		}
		report, err := snp.Parse(content[32:1216])
		if err != nil {
			t.Fatal(err)
		}
		claims := content[1236 : 1236+binary.LittleEndian.Uint32(content[1232:])]
		if report.ReportData() != snp.Bind(claims) || report.Version() != 5 {
			t.Errorf("the report (version %d) does not bind the claims %s", report.Version(), claims)
		}
		if !strings.HasSuffix(string(claims), `"user-data":"`+strings.Repeat("0", 128)+`"}`) {
			t.Errorf("the claims do not end in empty user data: %s", claims)
		}
	}
}

func TestTrustedLaunchHasNoHCLReport(t *testing.T) {
	exists, err := open(t, Require(t, Config{})).Exists(t.Context(), tpm.HCLReport)
	if exists || err != nil {
		t.Errorf("exists %t, error %v", exists, err)
	}
}

// TestSharedAuthority checks that machines of one cloud differ in their keys
// and names and share one authority.
func TestSharedAuthority(t *testing.T) {
	authority, err := NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	roots, err := vtpm.ParseRoots(authority.PEM())
	if err != nil {
		t.Fatal(err)
	}
	const other = "0B5C0D2E-5A3F-4E6B-9C8D-AAAAAAAAAAAA"
	one, two := Require(t, Config{Authority: authority}), Require(t, Config{Authority: authority, VMID: other})
	for _, m := range []*Machine{one, two} {
		index, err := open(t, m).ReadIndex(t.Context(), tpm.AKCertificate)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := vtpm.ParseAKCertificate(index)
		if err != nil {
			t.Fatal(err)
		}
		if err := certificate.Verify(roots, nil, time.Now()); err != nil {
			t.Error(err)
		}
		if !bytes.Contains(m.EventLog(), []byte("UUID: "+m.VMID())) {
			t.Errorf("the log does not name %s", m.VMID())
		}
	}
	if one.AK().Equal(two.AK()) || two.VMID() != other {
		t.Error("the machines are equal")
	}
}

// TestSetReport checks that a change appears in the paravisor's next report.
func TestSetReport(t *testing.T) {
	clock := now
	m := Require(t, Config{Chip: newChip(t), Now: func() time.Time { return clock }})
	for guestSVN := range uint32(2) {
		m.SetReport(snptest.Options{GuestSVN: guestSVN})
		content, err := open(t, m).ReadIndex(t.Context(), tpm.HCLReport)
		if err != nil {
			t.Fatal(err)
		}
		report, err := snp.Parse(content[32:1216])
		if err != nil {
			t.Fatal(err)
		}
		if report.GuestSVN() != guestSVN {
			t.Errorf("guest SVN %d, want %d", report.GuestSVN(), guestSVN)
		}
		clock = clock.Add(3 * time.Second)
	}
}
