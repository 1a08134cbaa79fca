package verify

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"skr/attest/snp"
)

// anyGuest is the word in place of measurements that accepts every guest.
const anyGuest = "any"

// measurementList is as written: a list, or the word any.
type measurementList []string

// UnmarshalJSON implements [json.Unmarshaler].
func (m *measurementList) UnmarshalJSON(text []byte) error {
	var word string
	if json.Unmarshal(text, &word) == nil && word == anyGuest {
		*m = measurementList{anyGuest}
		return nil
	}
	var list []string
	if json.Unmarshal(text, &list) != nil || len(list) == 0 {
		return errors.New("measurements: want a list of 96 hexadecimal digits each, or the word any; leave it out to demand a paravisor of Azure's")
	}
	*m = list
	return nil
}

func (w *bootPolicyFile) parseMeasurements(p *BootPolicy) error {
	if p.any = slices.Equal(w.Measurements, measurementList{anyGuest}); p.any {
		return nil
	}
	for _, text := range w.Measurements {
		digest, err := parse48(text)
		if err != nil {
			return fmt.Errorf("measurements: %w", err)
		}
		p.measurements = append(p.measurements, digest)
	}
	return nil
}

// guestSigners are digests of keys that sign guests. Without any, Azure's are demanded.
type guestSigners struct{ id, author [][48]byte }

func (w *bootPolicyFile) parseSigners(p *BootPolicy) (err error) {
	if p.keys.id, err = parseKeys(w.IDKeys); err != nil {
		return fmt.Errorf("id_keys: %w", err)
	}
	if p.keys.author, err = parseKeys(w.AuthorKeys); err != nil {
		return fmt.Errorf("author_keys: %w", err)
	}
	return nil
}

// parseKeys refuses an empty list, which would demand nothing, and zeros, which stand for a
// guest that is not signed.
func parseKeys(texts []string) ([][48]byte, error) {
	if texts != nil && len(texts) == 0 {
		return nil, errors.New("the list is empty")
	}
	var keys [][48]byte
	for _, text := range texts {
		key, err := parse48(text)
		if err == nil && key == [48]byte{} {
			err = errors.New("zeros stand for a guest that is not signed")
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func parse48(text string) ([48]byte, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 48 {
		return [48]byte{}, fmt.Errorf("%.100q is not 96 hexadecimal digits", text)
	}
	return [48]byte(raw), nil
}

// Signers reports whether the policy names keys that sign the guest.
func (p *BootPolicy) Signers() bool { return len(p.keys.id)+len(p.keys.author) > 0 }

// CheckSigner returns an error unless a key of the policy signed the guest or certified the key
// that signed it.
func (p *BootPolicy) CheckSigner(report *snp.Report) error {
	if slices.Contains(p.keys.id, report.IDKeyDigest()) {
		return nil
	}
	if report.AuthorKeyEnabled() && slices.Contains(p.keys.author, report.AuthorKeyDigest()) {
		return nil
	}
	return fmt.Errorf("no key of the policy signed this guest: ID_KEY_DIGEST is %x, AUTHOR_KEY_DIGEST %x",
		report.IDKeyDigest(), report.AuthorKeyDigest())
}
