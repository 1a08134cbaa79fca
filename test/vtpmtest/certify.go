package vtpmtest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Certify returns a TPMS_ATTEST of the type certify over a TPM2B_PUBLIC, and
// its signature, the bare RSA number. mutate, if not nil, changes the statement
// before it is signed.
func (a *AK) Certify(area []byte, mutate func(attest []byte) []byte) (attest, signature []byte, err error) {
	attest = certify(area)
	if mutate != nil {
		attest = mutate(attest)
	}
	sum := sha256.Sum256(attest)
	signature, err = rsa.SignPKCS1v15(nil, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, nil, fmt.Errorf("vtpmtest: signing a certification: %w", err)
	}
	return attest, signature, nil
}

func certify(area []byte) []byte {
	sum := sha256.Sum256(area[2:])
	name := append([]byte{0, 0x0b}, sum[:]...)
	out := header(0x17, nil)
	out = sized(out, name)
	return sized(out, append([]byte{0, 0x0b}, make([]byte, 32)...)) // qualifiedName
}

// header returns the beginning of every TPMS_ATTEST. kind is the low byte of
// its type.
func header(kind byte, nonce []byte) []byte {
	out := []byte{0xff, 'T', 'C', 'G', 0x80, kind}
	out = sized(out, append([]byte{0, 0x0b}, make([]byte, 32)...)) // qualifiedSigner
	out = sized(out, nonce)
	out = binary.BigEndian.AppendUint64(out, 123456)
	out = binary.BigEndian.AppendUint32(out, 2)
	out = binary.BigEndian.AppendUint32(out, 0)
	out = append(out, 1)
	return binary.BigEndian.AppendUint64(out, 0x2020031200120003)
}
