package sshagent

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of forms
	_ "crypto/sha512"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// form is a kind of signature.
type form struct {
	name      string // of SSH
	algorithm string // of RFC 7518
	hash      crypto.Hash
}

// formOf returns how a key signs. It returns false for ssh-rsa, which has SHA-1 and is what a
// client asks an RSA key for without a flag, and for unknown flags. For an EC key, the flags
// have no meaning (RFC 8332 section 2, RFC 5656 section 6.2.1).
func formOf(public crypto.PublicKey, flags uint32) (form, bool) {
	if flags&^(rsaSHA256|rsaSHA512) != 0 {
		return form{}, false
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		switch {
		case flags&rsaSHA256 != 0: // OpenSSH prefers it too
			return form{ssh.KeyAlgoRSASHA256, "RS256", crypto.SHA256}, true
		case flags&rsaSHA512 != 0:
			return form{ssh.KeyAlgoRSASHA512, "RS512", crypto.SHA512}, true
		}
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return form{ssh.KeyAlgoECDSA256, "ES256", crypto.SHA256}, true
		case elliptic.P384():
			return form{ssh.KeyAlgoECDSA384, "ES384", crypto.SHA384}, true
		case elliptic.P521():
			return form{ssh.KeyAlgoECDSA521, "ES512", crypto.SHA512}, true
		}
	}
	return form{}, false
}

func (f form) digest(data []byte) []byte {
	h := f.hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// signature returns the value of a signature in the form of SSH (RFC 5656 section 3.1.2 for EC).
func (f form) signature(value []byte) ssh.Signature {
	if f.algorithm[0] == 'E' {
		half := len(value) / 2
		value = ssh.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(value[:half]), new(big.Int).SetBytes(value[half:])})
	}
	return ssh.Signature{Format: f.name, Blob: value}
}
