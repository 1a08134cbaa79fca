package vault

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"time"

	"skr/test/rsakey"
)

// Key attestation of Managed HSM, in the form of Marvell's firmware 3 (Azure documentation,
// "Managed HSM key attestation"; Azure/azure-managed-hsm-key-attestation, which verifies it).
// UNCONFIRMED: no real blob is public, so only the verifier's rules are known.
const (
	attestationVersion = "MRVL-1"
	attributeClass     = 0x0000 // PKCS #11 version 2.40, section 2: CKA_CLASS
	attributeKeyType   = 0x0100
	attributeID        = 0x0102
	attributeExtract   = 0x0162
	attributeLocal     = 0x0163
	attributeNever     = 0x0164

	classPublic, classPrivate, classSecret = 2, 3, 4
	typeRSA, typeEC, typeAES               = 0, 3, 0x1f
)

// partition is the emulated HSM partition that vouches for keys. Two chains certify its one key: the
// manufacturer's and the owner's.
type partition struct {
	key    *rsa.PrivateKey
	bundle []byte // PEM: card, partition, owner's root, partition again
	root   *x509.Certificate
}

func newPartition(now time.Time) (*partition, error) {
	root, rootKey, err := certify("emulated HSM manufacturer, TEST ONLY", nil, nil, nil, now)
	if err != nil {
		return nil, err
	}
	card, cardKey, err := certify("emulated HSM card", nil, root, rootKey, now)
	if err != nil {
		return nil, err
	}
	made, key, err := certify("emulated HSM partition", nil, card, cardKey, now)
	if err != nil {
		return nil, err
	}
	owner, ownerKey, err := certify("emulated HSM owner, TEST ONLY", nil, nil, nil, now)
	if err != nil {
		return nil, err
	}
	owned, _, err := certify("emulated HSM partition", key, owner, ownerKey, now)
	if err != nil {
		return nil, err
	}
	var bundle bytes.Buffer
	for _, certificate := range []*x509.Certificate{card, made, owner, owned} {
		_ = pem.Encode(&bundle, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}) // a Buffer returns no errors
	}
	return &partition{key, bundle.Bytes(), root}, nil
}

// certify makes a certificate, for a new key if key is nil, self-signed if issuer is nil.
func certify(
	name string, key *rsa.PrivateKey, issuer *x509.Certificate, issuerKey *rsa.PrivateKey, now time.Time,
) (*x509.Certificate, *rsa.PrivateKey, error) {
	var err error
	if key == nil {
		if key, err = rsakey.Generate(2048); err != nil {
			return nil, nil, err
		}
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(365 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	if issuer == nil {
		issuer, issuerKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return certificate, key, err
}

// attest answers GET /keys/{name}/{version}/attestation: the key's bundle, in Managed HSM with the
// attestation among the attributes. UNCONFIRMED: that a Key Vault leaves it out.
func (v *Vault) attest(c *call) (answer, error) {
	v.mu.Lock()
	k, ver, err := v.find(c.name, c.version)
	v.mu.Unlock()
	if err != nil {
		return answer{}, err
	}
	bundle := v.bundle(k, ver)
	if !v.managedHSM() {
		return ok(bundle)
	}
	signer, err := v.partition()
	if err != nil {
		return answer{}, err
	}
	attestation, err := signer.attestation(v.config.Host, k.name, ver)
	if err != nil {
		return answer{}, err
	}
	for i := range bundle {
		if attributes, is := bundle[i].value.(object); is && bundle[i].name == "attributes" {
			bundle[i].value = attributes.with("attestation", attestation)
		}
	}
	return ok(bundle)
}

// attestation has one blob for a symmetric key, and one for each half of any other.
func (p *partition) attestation(pool, name string, ver *version) (object, error) {
	id := pool + "/" + name + "/" + ver.id
	kind, class := typeRSA, classPrivate
	switch ver.material.private.(type) {
	case *ecdsa.PrivateKey:
		kind = typeEC
	case nil:
		kind, class = typeAES, classSecret
	}
	private, err := p.blob(keyAttributes(class, kind, id, ver))
	if err != nil {
		return nil, err
	}
	o := object{{"certificatePemFile", encode64(p.bundle)}, {"privateKeyAttestation", encode64(private)}}
	if class == classPrivate {
		public, err := p.blob(keyAttributes(classPublic, kind, id, ver))
		if err != nil {
			return nil, err
		}
		o = o.with("publicKeyAttestation", encode64(public))
	}
	return o.with("version", attestationVersion), nil
}

// keyAttributes returns the attribute object: three words, of which the second counts, then type,
// length and value of each attribute, all big-endian.
func keyAttributes(class, kind int, id string, ver *version) []byte {
	values := []struct {
		kind  uint32
		value []byte
	}{
		{attributeClass, []byte{byte(class)}},
		{attributeKeyType, []byte{byte(kind)}},
		{attributeID, append([]byte(id), 0)},
		{attributeExtract, flag(ver.exportable)},
		{attributeLocal, flag(!ver.imported)},
		{attributeNever, flag(!ver.exportable)},
	}
	out := binary.BigEndian.AppendUint32(nil, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(len(values)))
	out = binary.BigEndian.AppendUint32(out, 0)
	for _, one := range values {
		out = binary.BigEndian.AppendUint32(out, one.kind)
		out = binary.BigEndian.AppendUint32(out, uint32(len(one.value)))
		out = append(out, one.value...)
	}
	return out
}

func flag(set bool) []byte {
	if set {
		return []byte{1}
	}
	return []byte{0}
}

// blob wraps the attributes in the header of firmware 3 and signs all of it: four words, of which
// the last two are the total size and that of the rest with the signature, then four half-words,
// of which the third is the offset of the object.
func (p *partition) blob(attributes []byte) ([]byte, error) {
	const header, info, signature = 16, 8, 256
	rest := info + len(attributes)
	out := make([]byte, header, header+rest+signature)
	binary.BigEndian.PutUint32(out[8:], uint32(header+rest+signature))
	binary.BigEndian.PutUint32(out[12:], uint32(rest))
	out = append(out, 0, 0, 0, 0, 0, info, 0, 0)
	out = append(out, attributes...)
	digest := sha256.Sum256(out)
	signed, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, digest[:])
	return append(out, signed...), err
}
