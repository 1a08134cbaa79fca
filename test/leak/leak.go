// Package leak searches the output of a program for its secrets: as they are,
// in hex, and in base64 at any offset, whole or in part.
//
//	if part := leak.Find(log, key.D); part != "" { … }
//
// If only the program knows a secret, such as the private key of an RSA pair
// that it generates, use [Factor]: every form of the private key contains a
// prime of the public modulus.
package leak

import (
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"regexp"
	"strings"
)

const (
	// window is the length of a part that counts as a leak. Text of that length
	// does not match by chance.
	window = 40
	// shortest is the shortest secret to search for; a shorter one may match by
	// chance.
	shortest = 12
)

// Find returns a part of secret that is in text, or "" if there is none.
func Find(text, secret string) string {
	if len(secret) < shortest {
		panic("leak: the secret is too short and may match by chance")
	}
	for _, form := range forms(secret) {
		if part := findPart(text, form); part != "" {
			return part
		}
	}
	return ""
}

func forms(secret string) []string {
	digits := hex.EncodeToString([]byte(secret))
	all := []string{secret, digits, strings.ToUpper(digits)}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range 3 {
			encoded := encoding.EncodeToString([]byte(secret[offset:]))
			all = append(all, encoded[:len(encoded)-1]) // the last digit depends on what follows
		}
	}
	return all
}

func findPart(text, form string) string {
	size := min(window, len(form))
	for at := 0; at+size <= len(form); at += max(1, size/2) {
		if part := form[at : at+size]; strings.Contains(text, part) {
			return part
		}
	}
	return ""
}

var (
	hexRun     = regexp.MustCompile(`[0-9a-fA-F]{64,}`)
	base64Run  = regexp.MustCompile(`[0-9A-Za-z+/_-]{64,}`)
	decimalRun = regexp.MustCompile(`[0-9]{64,}`)
	toStandard = strings.NewReplacer("-", "+", "_", "/")
)

// Factor returns the form in which text contains a prime factor of the RSA
// modulus n, or "" if it contains none.
func Factor(text string, n *big.Int) string {
	size := (n.BitLen() + 15) / 16 // bytes of a prime
	if holdsFactor([]byte(text), n, size) {
		return "raw"
	}
	for _, run := range hexRun.FindAllString(text, -1) {
		for offset := range 2 {
			even := run[offset : len(run)-(len(run)-offset)%2]
			if data, err := hex.DecodeString(even); err == nil && holdsFactor(data, n, size) {
				return "hex"
			}
		}
	}
	for _, run := range base64Run.FindAllString(text, -1) {
		run = toStandard.Replace(run)
		for offset := range 4 {
			whole := run[offset : len(run)-(len(run)-offset)%4]
			if data, err := base64.StdEncoding.DecodeString(whole); err == nil && holdsFactor(data, n, size) {
				return "base64"
			}
		}
	}
	for _, run := range decimalRun.FindAllString(text, -1) {
		if p, ok := new(big.Int).SetString(run, 10); ok && divides(p, n) {
			return "decimal"
		}
	}
	return ""
}

// holdsFactor tries each position at which a prime can be: a prime is odd, and
// its highest bit is set because it is half as long as the modulus.
func holdsFactor(data []byte, n *big.Int, size int) bool {
	p := new(big.Int)
	for at := 0; at+size <= len(data); at++ {
		if data[at] < 0x80 || data[at+size-1]&1 == 0 {
			continue
		}
		if divides(p.SetBytes(data[at:at+size]), n) {
			return true
		}
	}
	return false
}

func divides(p, n *big.Int) bool {
	return p.BitLen() > 64 && p.Cmp(n) < 0 && new(big.Int).Rem(n, p).Sign() == 0
}
