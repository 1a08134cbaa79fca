package tdxtest

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
)

// QuoteOptions describe a quote. The functions make false ones.
type QuoteOptions struct {
	// Version is 4 or 5; 0 means 4.
	Version uint16
	// BodyType of version 5 is 2 (TDX 1.0) or 3 (TDX 1.5); 0 means 3.
	BodyType uint16
	// Padding is the number of zero bytes after the quote, 70 on Azure in version 4.
	Padding int
	// QE may change the report of the quoting enclave, 384 bytes, before the PCK signs it.
	QE func([]byte)
	// Signed may change header and body before the attestation key signs them.
	Signed func([]byte)
	// Key replaces the attestation key that signs, but not the one in the quote.
	Key *ecdsa.PrivateKey
	// Chain replaces the PEM of the certificates.
	Chain []byte
	// Finished may change the quote after it was signed; the result replaces it.
	Finished func([]byte) []byte
	// AuthData are the authentication data of the quoting enclave; nil for 00 01 … 1f.
	AuthData []byte
}

// qeSigner is MRSIGNER of Intel's quoting enclave: the verifier demands it.
var qeSigner, _ = hex.DecodeString("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5")

var intelVendor, _ = hex.DecodeString("939a7233f79c4ca9940a0db3957f0607")

// QESVN is the security version of the quoting enclave.
const QESVN = 7

// Quote returns a quote of the TD report, as Azure's host returns it.
func (p *Platform) Quote(report []byte, o QuoteOptions) ([]byte, error) {
	if o.AuthData == nil {
		o.AuthData = counting(32)
	}
	if o.Chain == nil {
		o.Chain = append(p.ChainPEM(), 0)
	}
	signed := header(report, o)
	if o.Signed != nil {
		o.Signed(signed)
	}
	key := p.attestation
	if o.Key != nil {
		key = o.Key
	}
	signature, err := sign(key, signed)
	if err != nil {
		return nil, err
	}
	certified, err := p.certification(o)
	if err != nil {
		return nil, err
	}
	public, err := point(p.attestation)
	if err != nil {
		return nil, err
	}
	data := slices.Concat(signature, public, sized(6, certified))
	quote := slices.Concat(signed, binary.LittleEndian.AppendUint32(nil, uint32(len(data))), data, make([]byte, o.Padding))
	if o.Finished != nil {
		quote = o.Finished(quote)
	}
	return quote, nil
}

// header returns header and body.
func header(report []byte, o QuoteOptions) []byte {
	if o.Version == 0 {
		o.Version = 4
	}
	if o.BodyType == 0 {
		o.BodyType = 3
	}
	head := make([]byte, 48)
	binary.LittleEndian.PutUint16(head, o.Version)
	head[2], head[4] = 2, 0x81
	copy(head[12:], intelVendor)
	if o.Version == 4 {
		return append(head, bodyOf(report, false)...)
	}
	body := bodyOf(report, o.BodyType == 3)
	head = binary.LittleEndian.AppendUint16(head, o.BodyType)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(body)))
	return append(head, body...)
}

// certification returns the report of the quoting enclave with its signature and certificates.
func (p *Platform) certification(o QuoteOptions) ([]byte, error) {
	public, err := point(p.attestation)
	if err != nil {
		return nil, err
	}
	report := make([]byte, 384)
	report[48], report[56] = 0x15, 0xe7
	copy(report[64:], counting(32))
	copy(report[128:], qeSigner)
	report[256], report[258] = 2, QESVN
	binding := sha256.Sum256(append(public, o.AuthData...))
	copy(report[320:], binding[:])
	if o.QE != nil {
		o.QE(report)
	}
	signature, err := sign(p.leaf.key, report)
	if err != nil {
		return nil, err
	}
	auth := append(binary.LittleEndian.AppendUint16(nil, uint16(len(o.AuthData))), o.AuthData...)
	return slices.Concat(report, signature, auth, sized(5, o.Chain)), nil
}

// sized returns data with its type and size before it.
func sized(kind uint16, data []byte) []byte {
	head := binary.LittleEndian.AppendUint16(nil, kind)
	return append(binary.LittleEndian.AppendUint32(head, uint32(len(data))), data...)
}

func counting(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i)
	}
	return data
}
