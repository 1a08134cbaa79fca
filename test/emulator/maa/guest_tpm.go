package maa

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/vtpm"
)

// tpmKeyBits is the size of both keys in all clients.
const tpmKeyBits = 2048

// wireTPM is TpmInfo. Public areas are TPM2B_PUBLIC, statements are TPMS_ATTEST
// without a size, and signatures are bare RSASSA numbers.
type wireTPM struct {
	AikCert, AikPub                               string
	PcrQuote, PcrSignature                        string
	PcrSet                                        []int
	PCRs                                          []wirePCR
	EncKeyPub                                     string
	EncKeyCertifyInfo, EncKeyCertifyInfoSignature string
}

type wirePCR struct {
	Index  int
	Digest string
}

// tpmEvidence is the parsed evidence of the guest's TPM.
type tpmEvidence struct {
	certificate   []byte // of the AK, with trailing zeros; nil if none was sent
	ak, key       *tpmKey
	pcrSet        []int
	selection     vtpm.Selection // of pcrSet
	pcrs          vtpm.PCRs
	quote         *vtpm.Quote
	certification *vtpm.Certification // of key
}

// tpmKey is an RSA key's public area.
type tpmKey struct {
	raw  []byte // TPM2B_PUBLIC
	area *tpm2.TPMTPublic
	rsa  *rsa.PublicKey
}

func (w *wireTPM) parse() (*tpmEvidence, error) {
	t := new(tpmEvidence)
	for _, step := range []func(*tpmEvidence) error{w.parseKeys, w.parsePCRs, w.parseQuote, w.parseCertification} {
		if err := step(t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (w *wireTPM) parseKeys(t *tpmEvidence) (err error) {
	if w.AikCert != "" {
		if t.certificate, err = decodeEither("AikCert", w.AikCert); err != nil {
			return err
		}
	}
	if t.ak, err = parseKey("AikPub", w.AikPub); err != nil {
		return err
	}
	t.key, err = parseKey("EncKeyPub", w.EncKeyPub)
	return err
}

func parseKey(name, text string) (*tpmKey, error) {
	raw, err := decodeEither(name, text)
	if err != nil {
		return nil, err
	}
	sized, err := tpm2.Unmarshal[tpm2.TPM2BPublic](raw)
	if err != nil || len(raw) != 2+len(sized.Bytes()) {
		return nil, invalid("The %s is not a TPM2B_PUBLIC.", name)
	}
	area, err := sized.Contents()
	if err != nil {
		return nil, invalid("The %s is not a TPM2B_PUBLIC: %v", name, err)
	}
	key := &tpmKey{raw: raw, area: area}
	if key.rsa, err = rsaOf(area); err != nil || key.rsa.N.BitLen() != tpmKeyBits {
		return nil, invalid("The %s is not of an RSA key of %d bits.", name, tpmKeyBits)
	}
	return key, nil
}

func rsaOf(area *tpm2.TPMTPublic) (*rsa.PublicKey, error) {
	parameters, err := area.Parameters.RSADetail()
	if err != nil {
		return nil, err
	}
	unique, err := area.Unique.RSA()
	if err != nil {
		return nil, err
	}
	return tpm2.RSAPub(parameters, unique)
}

// parsePCRs requires values for exactly the registers in PcrSet.
func (w *wireTPM) parsePCRs(t *tpmEvidence) (err error) {
	if t.selection, err = vtpm.Select(w.PcrSet...); err != nil || t.selection == 0 {
		return invalid("The PcrSet must name PCRs from 0 to %d.", vtpm.PCRCount-1)
	}
	t.pcrSet, t.pcrs = t.selection.List(), make(vtpm.PCRs)
	for _, pcr := range w.PCRs {
		digest, err := decodeEither("Digest", pcr.Digest)
		if err != nil {
			return err
		}
		if len(digest) != sha256.Size {
			return invalid("The Digest of PCR %d has %d bytes, want %d.", pcr.Index, len(digest), sha256.Size)
		}
		t.pcrs[pcr.Index] = vtpm.Digest(digest)
	}
	given, err := vtpm.Select(t.pcrs.Sorted()...)
	if err != nil || given != t.selection || len(w.PCRs) != len(t.pcrs) || len(w.PcrSet) != len(t.pcrs) {
		return invalid("The PCRs are not those of the PcrSet, each once.")
	}
	return nil
}

func (w *wireTPM) parseQuote(t *tpmEvidence) error {
	attest, signature, err := decodeStatement("PcrQuote", w.PcrQuote, "PcrSignature", w.PcrSignature, t.ak)
	if err != nil {
		return err
	}
	quote, err := vtpm.ParseQuote(attest)
	if err != nil {
		return invalid("The PcrQuote is malformed: %v", err)
	}
	if t.quote, err = quote.WithSignature(signature); err != nil {
		return invalid("The PcrSignature is malformed: %v", err)
	}
	return nil
}

func (w *wireTPM) parseCertification(t *tpmEvidence) error {
	const name = "EncKeyCertifyInfo"
	attest, signature, err := decodeStatement(name, w.EncKeyCertifyInfo, name+"Signature", w.EncKeyCertifyInfoSignature, t.ak)
	if err != nil {
		return err
	}
	if t.certification, err = vtpm.ParseCertification(attest, signature); err != nil {
		return invalid("The %s is malformed: %v", name, err)
	}
	return nil
}

// decodeStatement decodes a statement and its signature. It checks the magic,
// which distinguishes what a TPM generated from data that it was given to sign.
func decodeStatement(name, text, signatureName, signatureText string, ak *tpmKey) (attest, signature []byte, err error) {
	if attest, err = decodeEither(name, text); err != nil {
		return nil, nil, err
	}
	if signature, err = decodeEither(signatureName, signatureText); err != nil {
		return nil, nil, err
	}
	if !bytes.HasPrefix(attest, []byte("\xffTCG")) {
		return nil, nil, invalid("The %s does not begin with TPM_GENERATED_VALUE: no TPM has made it.", name)
	}
	if len(signature) != ak.rsa.Size() {
		return nil, nil, invalid("The %s has %d bytes, want %d.", signatureName, len(signature), ak.rsa.Size())
	}
	return attest, signature, nil
}
