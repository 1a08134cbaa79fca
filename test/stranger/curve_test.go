package stranger

import (
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"
)

// curve is y² = x³ + ax + b over the integers modulo p, with a generator of order n
// (SEC 2). crypto/elliptic has no P-256K, and crypto/x509 writes no explicit parameters.
type curve struct {
	p, a, b, gx, gy, n *big.Int
}

func nist(c elliptic.Curve) *curve {
	q := c.Params()
	return &curve{p: q.P, a: new(big.Int).Sub(q.P, big.NewInt(3)), b: q.B, gx: q.Gx, gy: q.Gy, n: q.N}
}

// secp256k1 is P-256K (SEC 2, section 2.4.1).
func secp256k1() *curve {
	number := func(hex string) *big.Int { x, _ := new(big.Int).SetString(hex, 16); return x }
	return &curve{
		p:  number("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"),
		a:  new(big.Int),
		b:  big.NewInt(7),
		gx: number("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
		gy: number("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
		n:  number("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
	}
}

func (c *curve) bytes(x *big.Int) []byte { return x.FillBytes(make([]byte, (c.p.BitLen()+7)/8)) }

// times returns d times the generator, by double and add. It is for tests only.
func (c *curve) times(d *big.Int) (x, y *big.Int) {
	for i := d.BitLen() - 1; i >= 0; i-- {
		if x != nil {
			x, y = c.add(x, y, x, y)
		}
		if d.Bit(i) == 0 {
			continue
		}
		if x == nil {
			x, y = c.gx, c.gy
		} else {
			x, y = c.add(x, y, c.gx, c.gy)
		}
	}
	return x, y
}

// add returns the sum of two points, which may be equal but not opposite.
func (c *curve) add(x1, y1, x2, y2 *big.Int) (x, y *big.Int) {
	over, under := new(big.Int).Sub(y2, y1), new(big.Int).Sub(x2, x1)
	if under.Sign() == 0 {
		over.Mul(x1, x1).Mul(over, big.NewInt(3)).Add(over, c.a)
		under.Lsh(y1, 1)
	}
	slope := over.Mul(over, under.ModInverse(under.Mod(under, c.p), c.p))
	x = new(big.Int).Mul(slope, slope)
	x.Sub(x, x1).Sub(x, x2).Mod(x, c.p)
	y = new(big.Int).Sub(x1, x)
	y.Mul(y, slope).Sub(y, y1).Mod(y, c.p)
	return x, y
}

// pkcs8 returns a private key in PKCS#8 with the given curve parameters and without the
// public key (RFC 5208, RFC 5915).
func (c *curve) pkcs8(d *big.Int, parameters []byte) []byte {
	type algorithm struct {
		Type       asn1.ObjectIdentifier
		Parameters asn1.RawValue
	}
	return must(asn1.Marshal(struct {
		Version   int
		Algorithm algorithm
		Key       []byte
	}{
		Algorithm: algorithm{asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, asn1.RawValue{FullBytes: parameters}},
		Key: must(asn1.Marshal(struct {
			Version int
			Private []byte
		}{1, c.bytes(d)})),
	}))
}

// explicit returns the curve's parameters in full (RFC 3279, section 2.3.5), which some
// vaults send.
func (c *curve) explicit() []byte {
	type field struct {
		Type  asn1.ObjectIdentifier
		Prime *big.Int
	}
	type coefficients struct{ A, B []byte }
	return must(asn1.Marshal(struct {
		Version   int
		Field     field
		Curve     coefficients
		Generator []byte
		Order     *big.Int
		Cofactor  int
	}{
		1, field{asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}, c.p}, coefficients{c.bytes(c.a), c.bytes(c.b)},
		append(append([]byte{4}, c.bytes(c.gx)...), c.bytes(c.gy)...), c.n, 1,
	}))
}

// named returns an object identifier, such as the curve's.
func named(arc ...int) []byte { return must(asn1.Marshal(asn1.ObjectIdentifier(arc))) }
