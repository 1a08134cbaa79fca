package jwk

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// maxNumber bounds one decoded member in bytes: the modulus of an 8192-bit RSA key with a
// leading zero byte.
const maxNumber = 8192/8 + 1

// bytesOf decodes a member in base64url without padding, line breaks or stray bits (RFC 7515
// section 2). Its errors do not contain the text.
func bytesOf(name, text string) ([]byte, error) {
	switch {
	case text == "":
		return nil, fmt.Errorf("member %q is missing", name)
	case len(text) > base64.RawURLEncoding.EncodedLen(maxNumber):
		return nil, fmt.Errorf("member %q is too long", name)
	}
	value, err := DecodeStrict(base64.RawURLEncoding, text)
	if err != nil {
		return nil, fmt.Errorf("member %q is not base64url", name)
	}
	return value, nil
}

// DecodeStrict decodes text and refuses stray bits and line breaks, which encoding/base64
// ignores.
func DecodeStrict(encoding *base64.Encoding, text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("has a line break")
	}
	return encoding.Strict().DecodeString(text)
}

func numberOf(name, text string) (*big.Int, error) {
	value, err := bytesOf(name, text)
	if err != nil {
		return nil, err
	}
	return new(big.Int).SetBytes(value), nil
}

// fixedOf decodes a coordinate or private scalar of width bytes (RFC 7518 section 6.2.1.2).
// The RFC requires exactly that many. fixedOf also accepts shorter values and one leading
// zero, as Azure's own clients do.
func fixedOf(name, text string, width int) ([]byte, error) {
	value, err := bytesOf(name, text)
	if err != nil {
		return nil, err
	}
	if len(value) == width+1 && value[0] == 0 {
		value = value[1:]
	}
	if len(value) > width {
		return nil, fmt.Errorf("member %q is longer than the curve", name)
	}
	fixed := make([]byte, width)
	copy(fixed[width-len(value):], value)
	return fixed, nil
}

func encode(value []byte) string { return base64.RawURLEncoding.EncodeToString(value) }

func encodeNumber(value *big.Int) string { return encode(value.Bytes()) }
