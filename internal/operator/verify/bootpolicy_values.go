package verify

import (
	"encoding/json"
	"errors"

	"skr/attest/vtpm"
)

// digestList is digests as written: one, or a list of them.
type digestList []string

// UnmarshalJSON implements [json.Unmarshaler].
func (v *digestList) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*v = digestList{one}
		return nil
	}
	var list []string
	if json.Unmarshal(text, &list) != nil {
		return errors.New("the values of a PCR are one text of 64 hexadecimal digits or a list of them; quote digits without letters")
	}
	*v = list
	return nil
}

func (v digestList) parse() ([]vtpm.Digest, error) {
	if len(v) == 0 {
		return nil, errors.New("it has no value")
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

// hexNonce is as written: digits, if the name stands there at all.
type hexNonce []byte

// UnmarshalJSON implements [json.Unmarshaler].
func (n *hexNonce) UnmarshalJSON(text []byte) error {
	var digits string
	if json.Unmarshal(text, &digits) != nil {
		return errors.New("nonce: want a text of hexadecimal digits; quote digits without letters")
	}
	parsed, err := ParseNonce(digits)
	*n = parsed
	return err
}
