package uvm

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Members of the JSON payload; MAA repeats them as claims in
// x-ms-sevsnpvm-uvm-endorsement.
const (
	memberGuestSVN    = "x-ms-sevsnpvm-guestsvn"
	memberGuestSVNInt = "x-ms-sevsnpvm-guestsvn-int"
	memberMeasurement = "x-ms-sevsnpvm-launchmeasurement"
)

// statement is what an endorsement says.
type statement struct {
	guestSVN    uint64
	measurement measurement
}

// parseStatement reads the JSON payload. Members that are not known are
// allowed, as -int was added so; members that occur twice are not.
func parseStatement(payload []byte) (statement, error) {
	members, err := decodeObject(payload)
	if err != nil {
		return statement{}, fmt.Errorf("decoding the payload: %w", err)
	}
	svn, err := readSVN(members)
	if err != nil {
		return statement{}, err
	}
	var digits string
	if err := json.Unmarshal(members[memberMeasurement], &digits); err != nil {
		return statement{}, fmt.Errorf("reading %s: %w", memberMeasurement, err)
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return statement{}, fmt.Errorf("reading %s: %w", memberMeasurement, err)
	}
	return bareStatement(raw, svn)
}

// bareStatement takes the measurement as bytes.
func bareStatement(raw []byte, svn uint64) (statement, error) {
	s := statement{guestSVN: svn}
	if len(raw) != len(s.measurement) {
		return statement{}, fmt.Errorf("the measurement has %d bytes, not %d", len(raw), len(s.measurement))
	}
	copy(s.measurement[:], raw)
	return s, nil
}

// readSVN reads guestsvn, a decimal string or a number, and guestsvn-int,
// which newer payloads add and which must then say the same.
func readSVN(members map[string]json.RawMessage) (uint64, error) {
	svn, err := parseSVN(members[memberGuestSVN])
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", memberGuestSVN, err)
	}
	again, found := members[memberGuestSVNInt]
	if !found {
		return svn, nil
	}
	number, err := parseSVN(again)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", memberGuestSVNInt, err)
	}
	if number != svn {
		return 0, fmt.Errorf("%s is %d but %s is %d", memberGuestSVN, svn, memberGuestSVNInt, number)
	}
	return svn, nil
}

func parseSVN(value json.RawMessage) (uint64, error) {
	digits := string(value)
	if bytes.HasPrefix(value, []byte(`"`)) {
		if err := json.Unmarshal(value, &digits); err != nil {
			return 0, err
		}
	}
	svn, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || strconv.FormatUint(svn, 10) != digits {
		return 0, errors.New("is not a decimal number")
	}
	return svn, nil
}

// decodeObject reads one JSON object and refuses a member that occurs twice,
// of which encoding/json would silently take the last, and which it would also
// match in another case.
func decodeObject(data []byte) (map[string]json.RawMessage, error) {
	if !json.Valid(data) { // also refuses trailing data
		return nil, errors.New("is not one JSON value")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	members := make(map[string]json.RawMessage)
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		if _, found := members[name.(string)]; found {
			return nil, fmt.Errorf("member %.100q occurs twice", name)
		}
		members[name.(string)] = value
	}
	return members, nil
}
