package swtpm

import (
	"crypto/rsa"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// The handles of an Azure machine (microsoft/openvmm, vm/devices/tpm/tpm_lib).
const (
	akHandle         tpm2.TPMHandle = 0x81000003
	ekHandle         tpm2.TPMHandle = 0x81010001
	hclIndex         tpm2.TPMHandle = 0x01400001
	userDataIndex    tpm2.TPMHandle = 0x01400002
	certificateIndex tpm2.TPMHandle = 0x01C101D0
)

// akTemplate returns OpenHCL's template: a restricted key that signs with
// RSASSA and SHA-256.
func akTemplate() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgRSA,
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true,
			UserWithAuth: true, NoDA: true, Restricted: true, SignEncrypt: true,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Scheme: tpm2.TPMTRSAScheme{
				Scheme:  tpm2.TPMAlgRSASSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
			KeyBits: 2048,
		}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: make([]byte, 256)}),
	}
}

// provision does what the firmware does before the operating system starts.
func (m *Machine) provision() (err error) {
	if m.ak, err = m.makePersistentKey(akTemplate(), akHandle); err != nil {
		return fmt.Errorf("making the AK: %w", err)
	}
	if m.ek, err = m.makePersistentKey(tpm2.RSAEKTemplate, ekHandle); err != nil {
		return fmt.Errorf("making the EK: %w", err)
	}
	if m.config.Authority == nil {
		if m.config.Authority, err = NewAuthority(m.config.Now()); err != nil {
			return err
		}
	}
	if err := m.storeCertificate(); err != nil {
		return fmt.Errorf("storing the AK certificate: %w", err)
	}
	for _, e := range bootEvents(m.config.VMID, !m.config.SecureBootOff) {
		m.log = e.append(m.log)
		if err := m.extend(e); err != nil {
			return fmt.Errorf("extending PCR %d: %w", e.pcr, err)
		}
	}
	return nil
}

// makePersistentKey creates a primary key of the endorsement hierarchy and makes it
// persistent.
func (m *Machine) makePersistentKey(template tpm2.TPMTPublic, at tpm2.TPMHandle) (*rsa.PublicKey, error) {
	made, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)},
		InPublic:      tpm2.New2B(template),
	}.Execute(m.tpm)
	if err != nil {
		return nil, err
	}
	if _, err := (tpm2.EvictControl{
		Auth:             tpm2.TPMRHOwner,
		ObjectHandle:     &tpm2.NamedHandle{Handle: made.ObjectHandle, Name: made.Name},
		PersistentHandle: at,
	}).Execute(m.tpm); err != nil {
		return nil, err
	}
	if _, err := (tpm2.FlushContext{FlushHandle: made.ObjectHandle}).Execute(m.tpm); err != nil {
		return nil, err
	}
	public, err := made.OutPublic.Contents()
	if err != nil {
		return nil, err
	}
	parameters, err := public.Parameters.RSADetail()
	if err != nil {
		return nil, err
	}
	unique, err := public.Unique.RSA()
	if err != nil {
		return nil, err
	}
	return tpm2.RSAPub(parameters, unique)
}

// storeCertificate issues the AK's certificate and writes it, padded with
// zeros.
func (m *Machine) storeCertificate() error {
	if m.config.CertificateSize < 0 {
		return nil
	}
	certified := m.ak
	if m.config.OtherKeyCertified {
		certified = m.ek
	}
	der, err := m.config.Authority.certify(certified, m.config.VMID, m.config.confidential())
	if err != nil {
		return err
	}
	content := make([]byte, max(len(der), m.config.CertificateSize))
	copy(content, der)
	if m.config.SpoilCertificate != nil {
		m.config.SpoilCertificate(content)
	}
	return m.define(certificateIndex, content)
}

// define creates an index that the owner reads and writes.
func (m *Machine) define(index tpm2.TPMHandle, content []byte) error {
	public := tpm2.TPMSNVPublic{
		NVIndex:    index,
		NameAlg:    tpm2.TPMAlgSHA256,
		Attributes: tpm2.TPMANV{OwnerRead: true, OwnerWrite: true, AuthRead: true, AuthWrite: true, NT: tpm2.TPMNTOrdinary},
		DataSize:   uint16(len(content)),
	}
	if _, err := (tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(public)}).Execute(m.tpm); err != nil {
		return err
	}
	const chunk = 1024
	for offset := 0; offset < len(content); offset += chunk {
		name, err := m.nameOf(index)
		if err != nil {
			return err
		}
		if _, err := (tpm2.NVWrite{
			AuthHandle: tpm2.TPMRHOwner,
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: name},
			Data:       tpm2.TPM2BMaxNVBuffer{Buffer: content[offset:min(len(content), offset+chunk)]},
			Offset:     uint16(offset),
		}).Execute(m.tpm); err != nil {
			return err
		}
	}
	return nil
}

// nameOf reads the name each time, because the first write changes it.
func (m *Machine) nameOf(index tpm2.TPMHandle) (tpm2.TPM2BName, error) {
	public, err := tpm2.NVReadPublic{NVIndex: index}.Execute(m.tpm)
	if err != nil {
		return tpm2.TPM2BName{}, err
	}
	return public.NVName, nil
}
