package sign1

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"
)

// strict refuses deep nesting, long arrays and large maps, which go-cose accepts. Both
// refuse duplicate keys.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		MaxNestedLevels:  8,
		MaxArrayElements: 64,
		MaxMapPairs:      64,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// DecodeUnverified decodes exactly one tagged COSE_Sign1 with definite lengths and at most
// limit bytes. Nothing in it has been verified.
func DecodeUnverified(raw []byte, limit int) (*cose.Sign1Message, error) {
	if len(raw) > limit {
		return nil, fmt.Errorf("%d bytes are more than the %d allowed", len(raw), limit)
	}
	if err := strict.Wellformed(raw); err != nil {
		return nil, fmt.Errorf("decoding CBOR: %w", err)
	}
	var message cose.Sign1Message
	if err := message.UnmarshalCBOR(raw); err != nil {
		return nil, fmt.Errorf("decoding COSE_Sign1: %w", err)
	}
	var protected []byte
	if err := strict.Unmarshal(message.Headers.RawProtected, &protected); err != nil {
		return nil, fmt.Errorf("decoding the protected header: %w", err)
	}
	if err := strict.Wellformed(protected); err != nil {
		return nil, fmt.Errorf("decoding the protected header: %w", err)
	}
	return &message, nil
}
