package releasepolicy

import "strings"

// compareIntegers compares two decimal integers of any length. ok is false if one of the
// texts is not an integer.
func compareIntegers(a, b string) (order int, ok bool) {
	negativeA, digitsA, okA := splitInteger(a)
	negativeB, digitsB, okB := splitInteger(b)
	switch {
	case !okA || !okB:
		return 0, false
	case negativeA && negativeB:
		return compareDigits(digitsB, digitsA), true
	case negativeA:
		return -1, true
	case negativeB:
		return 1, true
	}
	return compareDigits(digitsA, digitsB), true
}

func compareDigits(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// splitInteger returns the digits without leading zeros. Zero is never negative.
func splitInteger(text string) (negative bool, digits string, ok bool) {
	digits, negative = strings.CutPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return false, "", false
	}
	digits = strings.TrimLeft(digits, "0")
	return negative && digits != "", digits, true
}

// canonicalNumber returns the text that stands for a JSON number. JSON has one spelling for
// each integer except zero; numbers with a fraction or an exponent keep their spelling.
func canonicalNumber(number string) string {
	if number == "-0" {
		return "0"
	}
	return number
}
