package vtpm

import (
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
)

// VerifySignature checks that ak signed the quote, with RSASSA-PKCS1-v1_5 and SHA-256. Its
// error wraps [ErrSignature].
func (q *Quote) VerifySignature(ak *rsa.PublicKey) error {
	if err := q.verify(ak); err != nil {
		return fmt.Errorf("verifying the quote: %w", err)
	}
	return nil
}

// CheckNonce checks that the quote was made for this nonce, and therefore after the nonce was
// chosen. It refuses an empty nonce, which proves nothing. Its error wraps [ErrNonce].
func (q *Quote) CheckNonce(nonce []byte) error {
	if len(nonce) == 0 || subtle.ConstantTimeCompare(nonce, q.nonce) != 1 {
		return fmt.Errorf("%w: the quote has %x", ErrNonce, q.nonce)
	}
	return nil
}

// CheckSelection checks that the quote covers exactly these PCRs. Values of PCRs that it does
// not cover can be invented. Its error wraps [ErrSelection].
func (q *Quote) CheckSelection(want Selection) error {
	if q.selection != want {
		return fmt.Errorf("%w: the quote is over PCR %s, want %s", ErrSelection, q.selection, want)
	}
	return nil
}

// CheckPCRs checks that the values are the quoted ones. It ignores values of PCRs that the
// quote does not cover. Its error wraps [ErrPCRs].
func (q *Quote) CheckPCRs(values PCRs) error {
	digest, err := values.digest(q.selection)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPCRs, err)
	}
	if digest != q.digest {
		return fmt.Errorf("%w: the values have the digest %s, quoted is %s", ErrPCRs, digest, q.digest)
	}
	return nil
}
