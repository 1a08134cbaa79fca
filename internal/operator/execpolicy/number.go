package execpolicy

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Number is a security version number as a policy writes it. The tools write a string, and
// the utility VM also takes a number.
type Number string

// UnmarshalJSON accepts a string or a number.
func (n *Number) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*n = Number(text)
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(data, &number); err != nil {
		return fmt.Errorf("a version number must be a string or a number, not %.20s", data)
	}
	*n = Number(number)
	return nil
}

// Uint returns the number. The utility VM compares whole numbers; the semantic versions that
// it also compares are deprecated there and refused here.
func (n Number) Uint() (uint64, error) {
	value, err := strconv.ParseUint(string(n), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("svn %.50q is not a whole number", string(n))
	}
	return value, nil
}
