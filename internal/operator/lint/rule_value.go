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

// values visits the comparisons with a value, of claims that are known, or
// of which nothing is known (Free).
func (in *inspection) values(visit func(root, releasepolicy.Condition, claims.Claim)) {
	in.comparisons(func(r root, n releasepolicy.Condition) {
		known, found := claims.Lookup(n.Claim)
		if !found {
			known = claims.Claim{Name: n.Claim, Kind: claims.Free}
		}
		if n.Operator != releasepolicy.Exists {
			visit(r, n, known)
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
	in.values(func(_ root, n releasepolicy.Condition, c claims.Claim) {
		if c.Kind != claims.Hex || orders(n.Operator) {
			return
		}
		if fault := hexFault(n.Value.Text, c.Digits); fault != "" {
			in.report(n, fmt.Sprintf("the value %s of %s %s", excerpt.Quote(n.Value.Text), n.Claim, fault), hexFix(n.Value.Text, c.Digits))
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

// hexOf is the value if it was written in base64, "" if not.
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
	for i, n := range digits {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, " or ")
}

func base64Form(in *inspection) {
	in.values(func(_ root, n releasepolicy.Condition, c claims.Claim) {
		if c.Kind != claims.Base64 || orders(n.Operator) {
			return
		}
		data, err := base64.StdEncoding.Strict().DecodeString(n.Value.Text)
		if err == nil && len(data) == registerBytes {
			return
		}
		fix := "write 32 bytes in standard base64, with padding"
		if data, err := hex.DecodeString(n.Value.Text); err == nil && len(data) == registerBytes {
			fix = "write " + base64.StdEncoding.EncodeToString(data)
		}
		in.report(n, fmt.Sprintf("the value %s of %s is not base64 of 32 bytes", excerpt.Quote(n.Value.Text), n.Claim), fix)
	})
}

func booleanForm(in *inspection) {
	in.values(func(_ root, n releasepolicy.Condition, c claims.Claim) {
		if c.Kind != claims.Boolean || orders(n.Operator) || n.Value.Text == "true" || n.Value.Text == "false" {
			return
		}
		fix := "write true or false"
		switch strings.ToLower(strings.TrimSpace(n.Value.Text)) {
		case "true", "1", "yes":
			fix = "write true"
		case "false", "0", "no":
			fix = "write false"
		}
		in.report(n, fmt.Sprintf("%s is true or false, and is compared with %s", n.Claim, excerpt.Quote(n.Value.Text)), fix)
	})
}

func numberForm(in *inspection) {
	in.values(func(_ root, n releasepolicy.Condition, c claims.Claim) {
		if c.Kind != claims.Integer && c.Kind != claims.Time || isInteger(n.Value.Text) {
			return
		}
		fix := "write an integer in decimal, without sign or leading zeros"
		if digits := strings.TrimLeft(n.Value.Text, "0"); isInteger(digits) {
			fix = "write " + excerpt.Of(digits)
		}
		in.report(n, fmt.Sprintf("%s is an integer, and is compared with %s", n.Claim, excerpt.Quote(n.Value.Text)), fix)
	})
}

// isInteger takes the one spelling that tokens have.
func isInteger(text string) bool {
	return text == "0" || text != "" && text[0] != '0' && strings.Trim(text, "0123456789") == ""
}

func orderingOnText(in *inspection) {
	in.values(func(_ root, n releasepolicy.Condition, c claims.Claim) {
		if !orders(n.Operator) {
			return
		}
		switch c.Kind {
		case claims.Integer, claims.Time, claims.Object, claims.List: // for others to judge
		case claims.Free:
			if isInteger(strings.TrimPrefix(n.Value.Text, "-")) {
				return
			}
			in.report(n, fmt.Sprintf("%s orders integers only, and %s is none", n.Operator, excerpt.Quote(n.Value.Text)), "write an integer, or use equals")
		default:
			in.report(n, fmt.Sprintf("%s orders integers only, and %s is %s", n.Operator, n.Claim, c.Kind), "use equals")
		}
	})
}

func comparesObject(in *inspection) {
	in.values(func(_ root, n releasepolicy.Condition, c claims.Claim) {
		if c.Kind == claims.Object || c.Kind == claims.List {
			in.report(n, fmt.Sprintf("%s is %s %s, which no value equals", n.Claim, article(c.Kind), c.Kind), "ask for a claim in it, or use exists")
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
	in.comparisons(func(_ root, n releasepolicy.Condition) {
		known, _ := claims.Lookup(n.Claim)
		if n.Operator == releasepolicy.Exists && known.Kind == claims.Boolean {
			in.report(n, fmt.Sprintf("exists is met by %s in either state", n.Claim), "use equals with true or false")
		}
	})
}

func valueNotOnPlatform(in *inspection) {
	in.values(func(r root, n releasepolicy.Condition, c claims.Claim) {
		var said []string
		for _, p := range r.platforms {
			if c.Values[p] == nil {
				return // it may say anything there
			}
			said = append(said, c.Values[p]...)
		}
		if n.Operator == releasepolicy.Equals && len(said) > 0 && !slices.Contains(said, n.Value.Text) {
			slices.Sort(said)
			in.report(n, fmt.Sprintf("tokens of %s never say %s in %s", list(r.platforms), excerpt.Quote(n.Value.Text), n.Claim),
				"write "+strings.Join(slices.Compact(said), " or "))
		}
	})
}
