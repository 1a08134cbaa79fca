package vtpm

import (
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
)

// VerifySignature says whether ak has signed the quote, with RSASSA-PKCS1-v1_5 and SHA-256.
func (q *Quote) VerifySignature(ak *rsa.PublicKey) error {
	if err := q.verify(ak); err != nil {
		return fmt.Errorf("verifying the quote: %w", err)
	}
	return nil
}

// CheckNonce says whether the quote was asked for with this nonce, and so after it
// was chosen. An empty nonce proves nothing and is refused.
func (q *Quote) CheckNonce(nonce []byte) error {
	if len(nonce) == 0 || subtle.ConstantTimeCompare(nonce, q.nonce) != 1 {
		return fmt.Errorf("%w: the quote has %x", ErrNonce, q.nonce)
	}
	return nil
}

// CheckSelection says whether the quote is over exactly these PCRs. A quote over
// others leaves some unsigned, whose values anybody can invent.
func (q *Quote) CheckSelection(want Selection) error {
	if q.selection != want {
		return fmt.Errorf("%w: the quote is over PCR %s, want %s", ErrSelection, q.selection, want)
	}
	return nil
}

// CheckPCRs says whether the values are those that were quoted. Values of other
// PCRs are not looked at.
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
