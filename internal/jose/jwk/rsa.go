package jwk

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// Bounds of an RSA modulus in bits. Smaller keys are insecure, and operations with larger
// ones take seconds.
const (
	minModulus = 2048
	maxModulus = 8192
)

func (k Key) rsaPublicKey() (*rsa.PublicKey, error) {
	n, err := numberOf("n", k.N)
	if err != nil {
		return nil, err
	}
	e, err := numberOf("e", k.E)
	if err != nil {
		return nil, err
	}
	return checkRSA(n, e)
}

// checkRSA also checks the exponent against the bounds of crypto/rsa.
func checkRSA(n, e *big.Int) (*rsa.PublicKey, error) {
	if bits := n.BitLen(); bits < minModulus || bits > maxModulus || n.Bit(0) == 0 {
		return nil, fmt.Errorf("the RSA modulus must be odd and have %d to %d bits", minModulus, maxModulus)
	}
	if e.BitLen() < 2 || e.BitLen() > 31 || e.Bit(0) == 0 {
		return nil, errors.New("the RSA exponent must be odd, at least 3 and below 2^31")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// rsaPrivateKey requires both primes (RFC 7518 section 6.3.2). No vault makes keys of more
// than two primes.
func (k Key) rsaPrivateKey() (*rsa.PrivateKey, error) {
	pub, err := k.rsaPublicKey()
	if err != nil {
		return nil, err
	}
	private := &rsa.PrivateKey{PublicKey: *pub, Primes: make([]*big.Int, 2)}
	for _, member := range []struct {
		name, text string
		into       **big.Int
	}{
		{"d", k.D, &private.D}, {"p", k.P, &private.Primes[0]}, {"q", k.Q, &private.Primes[1]},
	} {
		if *member.into, err = numberOf(member.name, member.text); err != nil {
			return nil, err
		}
	}
	private.Precompute()
	if err := private.Validate(); err != nil {
		return nil, errors.New("the RSA private key is inconsistent")
	}
	return private, k.checkCRT(private)
}

// checkCRT compares dp, dq and qi, if present, with the computed values.
func (k Key) checkCRT(private *rsa.PrivateKey) error {
	for _, member := range []struct {
		name, text string
		want       *big.Int
	}{
		{"dp", k.DP, private.Precomputed.Dp}, {"dq", k.DQ, private.Precomputed.Dq}, {"qi", k.QI, private.Precomputed.Qinv},
	} {
		if member.text == "" {
			continue
		}
		got, err := numberOf(member.name, member.text)
		if err != nil {
			return err
		}
		if got.Cmp(member.want) != 0 {
			return fmt.Errorf("member %q does not belong to the RSA key", member.name)
		}
	}
	return nil
}

func fromRSA(pub *rsa.PublicKey) (Key, error) {
	if pub == nil || pub.N == nil {
		return Key{}, errors.New("the RSA key is empty")
	}
	e := big.NewInt(int64(pub.E))
	if _, err := checkRSA(pub.N, e); err != nil {
		return Key{}, err
	}
	return Key{Kty: "RSA", N: encodeNumber(pub.N), E: encodeNumber(e)}, nil
}

func fromRSAPrivate(private *rsa.PrivateKey) (Key, error) {
	if private == nil || len(private.Primes) != 2 {
		return Key{}, errors.New("the RSA private key must have two primes")
	}
	key, err := fromRSA(&private.PublicKey)
	if err != nil {
		return Key{}, err
	}
	// The caller's key may lack dp, dq and qi, and must not be changed.
	complete := *private
	complete.Precompute()
	if err := complete.Validate(); err != nil {
		return Key{}, errors.New("the RSA private key is inconsistent")
	}
	key.D = encodeNumber(private.D)
	key.P, key.Q = encodeNumber(private.Primes[0]), encodeNumber(private.Primes[1])
	key.DP, key.DQ = encodeNumber(complete.Precomputed.Dp), encodeNumber(complete.Precomputed.Dq)
	key.QI = encodeNumber(complete.Precomputed.Qinv)
	return key, nil
}
