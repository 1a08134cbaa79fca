// Package rsakey makes RSA keys for the emulated cloud and for tests.
//
// Most of the time of a new key goes into the search for its two primes, and tests need
// thousands of keys. In a test, Generate therefore uses each prime in many keys: n primes
// give n(n-1)/2 keys. The keys are valid, and no two of a process are equal. They are not
// secure, because the common divisor of two of them may be one of their primes.
//
// The keys in an emulated vault are made with rsa.GenerateKey. A released key contains its
// primes, and tests search for the primes of other keys in what skr writes (test/leak).
//
// In a program that is not a test, such as skr-emulator, Generate is rsa.GenerateKey.
package rsakey

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"sync"
	"testing"
)

var (
	mu    sync.Mutex
	pools = map[int]*pool{} // by the length of the keys
)

// Generate returns an RSA key of a length in bits that differs from all keys returned before.
func Generate(bits int) (*rsa.PrivateKey, error) {
	if !testing.Testing() {
		return rsa.GenerateKey(rand.Reader, bits)
	}
	mu.Lock()
	p, ok := pools[bits]
	if !ok {
		p = &pool{}
		pools[bits] = p
	}
	mu.Unlock()
	first, second, err := p.pair(bits)
	if err != nil {
		return nil, fmt.Errorf("rsakey: searching primes: %w", err)
	}
	return assemble(first, second)
}

// pool contains the primes of keys of one length.
type pool struct {
	mu            sync.Mutex
	primes        []*big.Int
	first, second int // the next pair
}

// pair returns each pair of primes once. If all are taken, it searches two more primes.
func (p *pool) pair(bits int) (first, second *big.Int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == p.second {
		p.first, p.second = 0, p.second+1
	}
	if p.second >= len(p.primes) {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return nil, nil, err
		}
		p.primes = append(p.primes, key.Primes...)
	}
	first, second = p.primes[p.first], p.primes[p.second]
	p.first++
	return first, second, nil
}

// assemble returns the key of two primes. rsa.GenerateKey's primes have their two highest
// bits set, so that the product of any two has the full length, and fit its exponent.
func assemble(p, q *big.Int) (*rsa.PrivateKey, error) {
	const exponent = 65537
	one := big.NewInt(1)
	order := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: exponent},
		D:         new(big.Int).ModInverse(big.NewInt(exponent), order),
		Primes:    []*big.Int{new(big.Int).Set(p), new(big.Int).Set(q)},
	}
	key.Precompute()
	return key, key.Validate()
}
