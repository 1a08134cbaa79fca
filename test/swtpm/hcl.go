package swtpm

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/vtpm"
)

const (
	// renewal is the minimum age of a report before it is renewed
	// (microsoft/openvmm, vm/devices/tpm/tpm_device).
	renewal        = 2 * time.Second
	defaultHCLSize = 2600
	hclHeader      = 32
	hclHardware    = 1184
	userDataSize   = 64
)

// hcl is the paravisor's index.
type hcl struct {
	content []byte
	made    time.Time
}

// renew makes a new report if the last one is old enough.
func (m *Machine) renew() error {
	now := m.config.Now()
	if m.hcl.content != nil && now.Sub(m.hcl.made) <= renewal {
		return nil
	}
	claims, err := m.claims()
	if err != nil {
		return err
	}
	kind, report, err := m.hardwareReport(claims)
	if err != nil {
		return err
	}
	content, err := frame(kind, report, claims, m.hclSize())
	if err != nil {
		return err
	}
	if m.config.SpoilHCL != nil {
		m.config.SpoilHCL(content)
	}
	m.hcl = hcl{content, now}
	return nil
}

// hardwareReport returns the processor's report over the claims.
func (m *Machine) hardwareReport(claims []byte) (vtpm.Hardware, []byte, error) {
	if m.config.TDReport != nil {
		report, err := m.config.TDReport(tdx.Bind(claims))
		return vtpm.TDX, report, err
	}
	report, err := m.config.Chip.Report(snp.Bind(claims), m.config.Report)
	return vtpm.SEVSNP, report, err
}

func (m *Machine) hclSize() int {
	if m.config.HCLSize != 0 {
		return m.config.HCLSize
	}
	return defaultHCLSize
}

// frame lays out report and claims as in igvm_attest/get.rs of
// microsoft/openvmm. Integers are little-endian; zeros follow, also a report
// that is shorter than its field, as a TD report is.
func frame(kind vtpm.Hardware, report, claims []byte, size int) ([]byte, error) {
	const dataHeader = 20
	total := hclHeader + hclHardware + dataHeader + len(claims)
	if total > size || len(report) > hclHardware {
		return nil, fmt.Errorf("a report of %d bytes does not fit into an index of %d", total, size)
	}
	content := append(make([]byte, 0, size), "HCLA"...)
	for _, field := range []uint32{2, uint32(total), 2, 0, 0, 0, 0} { // version, size, request type, status, reserved
		content = binary.LittleEndian.AppendUint32(content, field)
	}
	content = append(content, report...)
	content = content[:hclHeader+hclHardware]
	for _, field := range []uint32{uint32(dataHeader + len(claims)), 1, uint32(kind), 1, uint32(len(claims))} { // size, version, report type, SHA-256
		content = binary.LittleEndian.AppendUint32(content, field)
	}
	content = append(content, claims...)
	return content[:size], nil
}

// claims returns the runtime claims in the order of the deployed paravisor,
// without white space.
func (m *Machine) claims() ([]byte, error) {
	data, err := m.userData()
	if err != nil {
		return nil, err
	}
	type key struct {
		ID  string   `json:"kid"`
		Ops []string `json:"key_ops"`
		Kty string   `json:"kty"`
		E   string   `json:"e"`
		N   string   `json:"n"`
	}
	public := func(id, op string, k *rsa.PublicKey) key {
		return key{id, []string{op}, "RSA", "AQAB", base64.RawURLEncoding.EncodeToString(k.N.Bytes())}
	}
	type configuration struct {
		Console    bool   `json:"console-enabled"`
		Thumbprint string `json:"root-cert-thumbprint"`
		SecureBoot bool   `json:"secure-boot"`
		TPM        bool   `json:"tpm-enabled"`
		Persisted  bool   `json:"tpm-persisted"`
		VM         string `json:"vmUniqueId"`
	}
	return json.Marshal(struct {
		Keys          []key         `json:"keys"`
		Configuration configuration `json:"vm-configuration"`
		UserData      string        `json:"user-data"`
	}{
		[]key{public("HCLAkPub", "sign", m.ak), public("HCLEkPub", "encrypt", m.ek)},
		configuration{true, m.config.Authority.thumbprint(), !m.config.SecureBootOff, true, true, m.config.VMID},
		strings.ToUpper(fmt.Sprintf("%x", data)),
	})
}

// userData returns the bytes of the index that the guest writes, or zeros if
// there are none.
func (m *Machine) userData() ([]byte, error) {
	zero := make([]byte, userDataSize)
	name, err := m.nameOf(userDataIndex)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return zero, nil
	}
	if err != nil {
		return nil, err
	}
	read, err := tpm2.NVRead{
		AuthHandle: tpm2.TPMRHOwner,
		NVIndex:    tpm2.NamedHandle{Handle: userDataIndex, Name: name},
		Size:       userDataSize,
	}.Execute(m.tpm)
	if err != nil {
		return zero, nil //nolint:nilerr // not written, not readable or too short: the paravisor continues without it
	}
	return read.Data.Buffer, nil
}
