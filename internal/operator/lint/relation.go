package lint

import (
	"math/big"
	"strings"

	"skr/releasepolicy"
)

// same reports whether two comparisons are equal, wherever they stand. Groups never are.
func same(a, b releasepolicy.Condition) bool {
	return a.Kind == releasepolicy.Claim && b.Kind == releasepolicy.Claim &&
		a.Claim == b.Claim && a.Operator == b.Operator && a.Value.Text == b.Value.Text
}

// conflict reports whether no token meets both comparisons.
func conflict(a, b releasepolicy.Condition) bool {
	if a.Claim != b.Claim {
		return otherAttributes(a, b)
	}
	return excludes(a, b) || excludes(b, a)
}

func excludes(a, b releasepolicy.Condition) bool {
	switch {
	case a.Operator == releasepolicy.Exists:
		return a.Value.Text == "false" && !absence(b)
	case a.Operator == releasepolicy.Equals && b.Operator == releasepolicy.Equals:
		return a.Value.Text != b.Value.Text
	case a.Operator == releasepolicy.Equals && b.Operator == releasepolicy.NotEquals:
		return a.Value.Text == b.Value.Text
	}
	ra, okA := rangeOf(a)
	rb, okB := rangeOf(b)
	return okA && okB && (above(ra, rb) || above(rb, ra))
}

func absence(c releasepolicy.Condition) bool {
	return c.Operator == releasepolicy.Exists && c.Value.Text == "false"
}

// implies reports whether every token that meets a meets b, for comparisons of one claim.
func implies(a, b releasepolicy.Condition) bool {
	switch {
	case same(a, b):
		return true
	case absence(a):
		return false
	case b.Operator == releasepolicy.Exists:
		return b.Value.Text == "true"
	case b.Operator == releasepolicy.NotEquals:
		return a.Operator == releasepolicy.Equals && a.Value.Text != b.Value.Text
	case b.Operator == releasepolicy.Equals:
		return false
	}
	ra, okA := rangeOf(a)
	rb, okB := rangeOf(b)
	return okA && okB && within(ra, rb)
}

// interval is a range of integers; nil means no bound.
type interval struct{ low, high *big.Int }

// maxInteger bounds the digits of numbers that are compared.
const maxInteger = 40

// rangeOf returns the integers that meet a comparison, and false if it is not about integers.
func rangeOf(c releasepolicy.Condition) (interval, bool) {
	digits := strings.TrimPrefix(c.Value.Text, "-")
	if digits == "" || len(digits) > maxInteger || strings.Trim(digits, "0123456789") != "" {
		return interval{}, false
	}
	value, _ := new(big.Int).SetString(c.Value.Text, 10)
	one := big.NewInt(1)
	switch c.Operator {
	case releasepolicy.Equals:
		return interval{value, value}, true
	case releasepolicy.Less:
		return interval{high: value.Sub(value, one)}, true
	case releasepolicy.LessOrEquals:
		return interval{high: value}, true
	case releasepolicy.Greater:
		return interval{low: value.Add(value, one)}, true
	case releasepolicy.GreaterOrEquals:
		return interval{low: value}, true
	}
	return interval{}, false
}

// above reports whether all of a is above all of b.
func above(a, b interval) bool {
	return a.low != nil && b.high != nil && a.low.Cmp(b.high) > 0
}

// within reports whether all of a is in b.
func within(a, b interval) bool {
	return (b.low == nil || a.low != nil && a.low.Cmp(b.low) >= 0) &&
		(b.high == nil || a.high != nil && a.high.Cmp(b.high) <= 0)
}
