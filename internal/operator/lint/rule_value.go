package lint

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"skr/internal/excerpt"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// values calls visit for the comparisons with a value. A claim that is not in the catalogue
// is Free.
func (in *inspection) values(visit func(root, releasepolicy.Condition, claims.Claim)) {
	in.comparisons(func(r root, c releasepolicy.Condition) {
		known, found := claims.Lookup(c.Claim)
		if !found {
			known = claims.Claim{Name: c.Claim, Kind: claims.Free}
		}
		if c.Operator != releasepolicy.Exists {
			visit(r, c, known)
		}
	})
}

func orders(o releasepolicy.Operator) bool {
	switch o {
	case releasepolicy.Less, releasepolicy.LessOrEquals, releasepolicy.Greater, releasepolicy.GreaterOrEquals:
		return true
	}
	return false
}

func hexForm(in *inspection) {
	in.values(func(_ root, c releasepolicy.Condition, known claims.Claim) {
		if known.Kind != claims.Hex || orders(c.Operator) {
			return
		}
		if fault := hexFault(c.Value.Text, known.Digits); fault != "" {
			in.report(c, fmt.Sprintf("the value %s of %s %s", excerpt.Quote(c.Value.Text), c.Claim, fault), hexFix(c.Value.Text, known.Digits))
		}
	})
}

func hexFault(text string, digits []int) string {
	plain := strings.ToLower(text)
	switch {
	case isHex(text) && slices.Contains(digits, len(text)):
		return ""
	case strings.HasPrefix(plain, "0x"):
		return "begins with 0x, which tokens do not write"
	case isHex(plain) && slices.Contains(digits, len(text)):
		return "has capitals, and tokens have none"
	case isHex(plain):
		return fmt.Sprintf("has %d digits, and needs %s", len(text), lengths(digits))
	case hexOf(text, digits) != "":
		return "is base64, and tokens have it in hexadecimal"
	}
	return "is not hexadecimal"
}

func hexFix(text string, digits []int) string {
	plain := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(text)), "0x")
	if !isHex(plain) || !slices.Contains(digits, len(plain)) {
		plain = hexOf(text, digits)
	}
	if plain == "" {
		return "write " + lengths(digits) + " hexadecimal digits in lower case"
	}
	return "write " + plain
}

// hexOf returns the value in hexadecimal if it was written in base64, else "".
func hexOf(text string, digits []int) string {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || !slices.Contains(digits, 2*len(data)) {
		return ""
	}
	return hex.EncodeToString(data)
}

func isHex(text string) bool { return text != "" && strings.Trim(text, "0123456789abcdef") == "" }

func lengths(digits []int) string {
	texts := make([]string, len(digits))
	for i, count := range digits {
		texts[i] = strconv.Itoa(count)
	}
	return strings.Join(texts, " or ")
}

func base64Form(in *inspection) {
	in.values(func(_ root, c releasepolicy.Condition, known claims.Claim) {
		if known.Kind != claims.Base64 || orders(c.Operator) {
			return
		}
		data, err := base64.StdEncoding.Strict().DecodeString(c.Value.Text)
		if err == nil && len(data) == registerBytes {
			return
		}
		fix := "write 32 bytes in standard base64, with padding"
		if data, err := hex.DecodeString(c.Value.Text); err == nil && len(data) == registerBytes {
			fix = "write " + base64.StdEncoding.EncodeToString(data)
		}
		in.report(c, fmt.Sprintf("the value %s of %s is not base64 of 32 bytes", excerpt.Quote(c.Value.Text), c.Claim), fix)
	})
}

func booleanForm(in *inspection) {
	in.values(func(_ root, c releasepolicy.Condition, known claims.Claim) {
		if known.Kind != claims.Boolean || orders(c.Operator) || c.Value.Text == "true" || c.Value.Text == "false" {
			return
		}
		fix := "write true or false"
		switch strings.ToLower(strings.TrimSpace(c.Value.Text)) {
		case "true", "1", "yes":
			fix = "write true"
		case "false", "0", "no":
			fix = "write false"
		}
		in.report(c, fmt.Sprintf("%s is true or false, and is compared with %s", c.Claim, excerpt.Quote(c.Value.Text)), fix)
	})
}

func numberForm(in *inspection) {
	in.values(func(_ root, c releasepolicy.Condition, known claims.Claim) {
		if known.Kind != claims.Integer && known.Kind != claims.Time || isInteger(c.Value.Text) {
			return
		}
		fix := "write an integer in decimal, without sign or leading zeros"
		if digits := strings.TrimLeft(c.Value.Text, "0"); isInteger(digits) {
			fix = "write " + excerpt.Of(digits)
		}
		in.report(c, fmt.Sprintf("%s is an integer, and is compared with %s", c.Claim, excerpt.Quote(c.Value.Text)), fix)
	})
}

// isInteger reports whether text is a natural number in the one spelling that tokens have.
func isInteger(text string) bool {
	return text == "0" || text != "" && text[0] != '0' && strings.Trim(text, "0123456789") == ""
}

func orderingOnText(in *inspection) {
	in.values(func(_ root, c releasepolicy.Condition, known claims.Claim) {
		if !orders(c.Operator) {
			return
		}
		switch known.Kind {
		case claims.Integer, claims.Time, claims.Object, claims.List: // other rules report these
		case claims.Free:
			if isInteger(strings.TrimPrefix(c.Value.Text, "-")) {
				return
			}
			in.report(c, fmt.Sprintf("%s compares only integers, and %s is not one", c.Operator, excerpt.Quote(c.Value.Text)), "write an integer, or use equals")
		default:
			in.report(c, fmt.Sprintf("%s compares only integers, and %s is %s", c.Operator, c.Claim, known.Kind), "use equals")
		}
	})
}

func comparesObject(in *inspection) {
	in.values(func(_ root, c releasepolicy.Condition, known claims.Claim) {
		if known.Kind == claims.Object || known.Kind == claims.List {
			in.report(c, fmt.Sprintf("%s is %s %s, which no value equals", c.Claim, article(known.Kind), known.Kind), "compare a claim inside it, or use exists")
		}
	})
}

func article(k claims.Kind) string {
	if k == claims.Object {
		return "an"
	}
	return "a"
}

func existsIgnoresValue(in *inspection) {
	in.comparisons(func(_ root, c releasepolicy.Condition) {
		known, _ := claims.Lookup(c.Claim)
		if c.Operator == releasepolicy.Exists && known.Kind == claims.Boolean {
			in.report(c, fmt.Sprintf("%s meets exists whether it is true or false", c.Claim), "use equals with true or false")
		}
	})
}

func valueNotOnPlatform(in *inspection) {
	in.values(func(r root, c releasepolicy.Condition, known claims.Claim) {
		var said []string
		for _, p := range r.platforms {
			if known.Values[p] == nil {
				return // it may have any value there
			}
			said = append(said, known.Values[p]...)
		}
		if c.Operator == releasepolicy.Equals && len(said) > 0 && !slices.Contains(said, c.Value.Text) {
			slices.Sort(said)
			in.report(c, fmt.Sprintf("tokens of %s never have the value %s in %s", list(r.platforms), excerpt.Quote(c.Value.Text), c.Claim),
				"write "+strings.Join(slices.Compact(said), " or "))
		}
	})
}
