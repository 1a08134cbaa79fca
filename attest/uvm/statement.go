package uvm

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"skr/internal/strictjson"
)

// Members of the JSON payload; MAA repeats them as claims in
// x-ms-sevsnpvm-uvm-endorsement.
const (
	memberGuestSVN    = "x-ms-sevsnpvm-guestsvn"
	memberGuestSVNInt = "x-ms-sevsnpvm-guestsvn-int"
	memberMeasurement = "x-ms-sevsnpvm-launchmeasurement"
)

// statement is the content of an endorsement.
type statement struct {
	guestSVN    uint64
	measurement measurement
}

// parseStatement parses the JSON payload. It accepts unknown members, because -int was added
// later, and refuses repeated members.
func parseStatement(payload []byte) (statement, error) {
	members, err := strictjson.Parse(payload)
	if err != nil {
		return statement{}, fmt.Errorf("decoding the payload: it %w", err)
	}
	svn, err := readSVN(members)
	if err != nil {
		return statement{}, err
	}
	digits, found := members.Text(memberMeasurement)
	if !found {
		return statement{}, fmt.Errorf("reading %s: it is no text", memberMeasurement)
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return statement{}, fmt.Errorf("reading %s: %w", memberMeasurement, err)
	}
	return bareStatement(raw, svn)
}

// bareStatement parses a payload that consists of the measurement.
func bareStatement(raw []byte, svn uint64) (statement, error) {
	s := statement{guestSVN: svn}
	if len(raw) != len(s.measurement) {
		return statement{}, fmt.Errorf("the measurement has %d bytes, not %d", len(raw), len(s.measurement))
	}
	copy(s.measurement[:], raw)
	return s, nil
}

// readSVN parses guestsvn, a decimal string or a number. Newer payloads also have
// guestsvn-int, which must then be equal.
func readSVN(members strictjson.Object) (uint64, error) {
	value, _ := members.Lookup(memberGuestSVN)
	svn, err := parseSVN(value)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", memberGuestSVN, err)
	}
	again, found := members.Lookup(memberGuestSVNInt)
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

func parseSVN(value any) (uint64, error) {
	digits, isText := value.(string)
	if number, ok := value.(json.Number); ok {
		digits, isText = number.String(), true
	}
	svn, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || !isText || strconv.FormatUint(svn, 10) != digits {
		return 0, errors.New("is not a decimal number")
	}
	return svn, nil
}
