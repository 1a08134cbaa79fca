package vault

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

// TestAttestation follows Microsoft's verifier (Azure/azure-managed-hsm-key-attestation): the chain
// to the manufacturer, the chain to the owner, one key in both, and the blob's signature by it.
func TestAttestation(t *testing.T) {
	p, err := newPartition(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m, err := generateRSA(2048, true)
	if err != nil {
		t.Fatal(err)
	}
	o, err := p.attestation("pool", "orders", &version{id: "0123", material: m, exportable: true})
	if err != nil {
		t.Fatal(err)
	}
	members := map[string][]byte{}
	for _, one := range o {
		text, _ := one.value.(string)
		if members[one.name], err = decode64(text); err != nil && one.name != "version" {
			t.Fatal(err)
		}
	}
	certificates := parseBundle(t, members["certificatePemFile"])
	card, made, owner, owned := certificates[0], certificates[1], certificates[2], certificates[3]
	for _, err := range []error{
		card.CheckSignatureFrom(p.root), made.CheckSignatureFrom(card), owner.CheckSignatureFrom(owner), owned.CheckSignatureFrom(owner),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(made.RawSubjectPublicKeyInfo, owned.RawSubjectPublicKeyInfo) {
		t.Error("the two partition certificates have different keys")
	}
	for name, class := range map[string]byte{"privateKeyAttestation": classPrivate, "publicKeyAttestation": classPublic} {
		attributes := verifyBlob(t, members[name], made)
		if got := attributes[attributeClass]; len(got) != 1 || got[0] != class {
			t.Errorf("%s: class %x", name, got)
		}
		if got := strings.TrimRight(string(attributes[attributeID]), "\x00"); got != "pool/orders/0123" {
			t.Errorf("%s: id %q", name, got)
		}
		if attributes[attributeLocal][0] != 1 || attributes[attributeExtract][0] != 1 || attributes[attributeNever][0] != 0 {
			t.Errorf("%s: an exportable key of the HSM has the attributes %x", name, attributes)
		}
	}
}

func parseBundle(t *testing.T, text []byte) (certificates []*x509.Certificate) {
	t.Helper()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) != 4 {
		t.Fatalf("%d certificates", len(certificates))
	}
	return certificates
}

func verifyBlob(t *testing.T, blob []byte, by *x509.Certificate) map[uint32][]byte {
	t.Helper()
	public, _ := by.PublicKey.(*rsa.PublicKey)
	data := blob[:len(blob)-256]
	digest := sha256.Sum256(data)
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], blob[len(data):]); err != nil {
		t.Fatal(err)
	}
	total, size := binary.BigEndian.Uint32(blob[8:]), binary.BigEndian.Uint32(blob[12:])
	info := total - (size + 256)
	object := data[info+uint32(binary.BigEndian.Uint16(blob[info+4:])):]
	attributes := map[uint32][]byte{}
	count, rest := binary.BigEndian.Uint32(object[4:]), object[12:]
	for range count {
		kind, length := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:])
		attributes[kind] = rest[8 : 8+length]
		rest = rest[8+length:]
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes follow the attributes", len(rest))
	}
	return attributes
}
