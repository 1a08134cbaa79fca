package bootpolicy

import (
	"encoding/json"
	"errors"

	"skr/attest/vtpm"
)

// values are digests as written: one, or a list of them.
type values []string

// UnmarshalJSON implements [json.Unmarshaler].
func (v *values) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*v = values{one}
		return nil
	}
	var list []string
	if json.Unmarshal(text, &list) != nil {
		return errors.New("the values of a PCR are one text of 64 hexadecimal digits or a list of them; quote digits without letters")
	}
	*v = list
	return nil
}

func (v values) parse() ([]vtpm.Digest, error) {
	if len(v) == 0 {
		return nil, errors.New("there is no value")
	}
	digests := make([]vtpm.Digest, len(v))
	for i, text := range v {
		digest, err := vtpm.ParseDigest(text)
		if err != nil {
			return nil, err
		}
		digests[i] = digest
	}
	return digests, nil
}

// nonce is as written: digits, if the name stands there at all.
type nonce []byte

// UnmarshalJSON implements [json.Unmarshaler].
func (n *nonce) UnmarshalJSON(text []byte) error {
	var digits string
	if json.Unmarshal(text, &digits) != nil {
		return errors.New("nonce: want a text of hexadecimal digits; quote digits without letters")
	}
	parsed, err := ParseNonce(digits)
	*n = parsed
	return err
}
