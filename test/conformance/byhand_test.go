package conformance

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// spoil changes a recorded answer. It may need the session and all answers.
type spoil func(*session, []kept, kept) kept

// byHand are changes that break what a check compares with code of its own, and what the check says.
var byHand = []struct {
	check  string
	answer int // its number
	spoil  spoil
	says   string
}{
	{"OpenID configuration", 0, inBody(`"jwks_uri":"https://`, `"jwks_uri":"https://x`), "jwks_uri is not /certs of this host"},
	{"OpenID configuration", 0, inBody(`RS256`, `RS384`), "RS256 is not among the algorithms"},
	{"signing certificates", 0, inBody(`"kid":"`, `"kid":"x`), "the kid of the instance's own key is not the hash"},
	{"signing certificates", 0, inBody(`"x5c":\["`, `"x5c":["x`), "an x5c does not begin with a certificate"},
	{"signature of the token", 0, inBody(`"kid":"`, `"kid":"x`), "no key has the kid of the token"},
	{"header of the token", 0, inToken("token", 0, `^\{`, `{"x":1,`), "the header has other members, too"},
	{"header of the token", 0, inToken("token", 0, `"jku":"https://`, `"jku":"https://x`), "jku is another"},
	{"claims of the token", 0, inToken("token", 1, `"exp":\d+`, `"exp":1`), "exp is not iat and 28800"},
	{"claims of the token", 0, inToken("token", 1, `"nbf":\d+`, `"nbf":1`), "nbf is not iat"},
	{"claims of the token", 0, inToken("token", 1, `"iat":\d+`, `"iat":1`), "iat is not the time of the answer"},
	{"claims of the token", 0, inToken("token", 1, `("exp":\d+),("iat":\d+)`, `$2,$1`), "the members are not in ascending order"},
	{"claims of the token", 0, inToken("token", 1, `"iss":"https://`, `"iss":"https://x`), "iss is another"},
	{"claims of the token", 0, inToken("token", 1, `"x-ms-runtime":`, `"x-ms-runtimes":`), "x-ms-runtime is missing"},
	{"nonce as text", 0, inToken("token", 1, `"nonce":"skr"`, `"nonce":"x"`), "the claim nonce is another"},
	{"no runtime data, no claim", 0, inToken("token", 1, `^\{`, `{"x-ms-runtime":{},`), "there is a claim x-ms-runtime"},
	{"the challenge names the audience", 0, inHeader("Www-Authenticate", `resource="https://`, `resource="https://x.`), "resource is"},
	{"create p-256", 0, inBody(`"kid":"https://`, `"kid":"https://x`), "kid has another form"},
	{"rotate", 0, oldVersion, "the version is that before the rotation"},
	{"versions in pages", 0, inBody(`"value":\[(\{.*\})\]`, `"value":[$1,$1]`), "a page has 2 items"},
	{"versions in pages", 1, firstPage, "a page repeats the item of another"},
	{"versions in pages", 0, inBody(`"nextLink":"https://`, `"nextLink":"https://x`), "nextLink does not lead to this host"},
	{"versions in pages", 0, inBody(`skiptoken=`, `token=`), "nextLink has no $skiptoken"},
	{"encrypt and decrypt RSA-OAEP-256", 1, inBody(`"value":"....`, `"value":"AAAA`), "value is another"},
	{"sign and verify RS256", 0, inBody(`"value":"....`, `"value":"AAAA`), "the signature does not verify"},
	{"sign and verify PS384", 0, inBody(`"value":"....`, `"value":"AAAA`), "the signature does not verify"},
	{"sign and verify ES512", 0, inBody(`"value":"(..)....`, `"value":"${1}AAAA`), "the signature does not verify"},
	{"release", 1, inToken("value", 0, `RS256`, `RS384`), "alg is not RS256"},
	{"release", 1, inToken("value", 1, `"enc":"[^"]*"`, `"enc":"x"`), "enc is not that of the request or its default"},
	{"release", 1, inToken("value", 1, `"kid":"https://`, `"kid":"https://x`), "kid is not of this key"},
}

func inText(text, pattern, instead string) string {
	return regexp.MustCompile(pattern).ReplaceAllString(text, instead)
}

// inBody replaces what matches in the body.
func inBody(pattern, instead string) spoil {
	return func(_ *session, _ []kept, k kept) kept {
		return kept{k.status, k.header, []byte(inText(string(k.body), pattern, instead))}
	}
}

func inHeader(name, pattern, instead string) spoil {
	return func(_ *session, _ []kept, k kept) kept {
		header := k.header.Clone()
		header.Set(name, inText(header.Get(name), pattern, instead))
		return kept{k.status, header, k.body}
	}
}

// inToken replaces what matches in a part of the token that a member holds.
func inToken(member string, part int, pattern, instead string) spoil {
	return func(_ *session, _ []kept, k kept) kept {
		var body map[string]string
		_ = json.Unmarshal(k.body, &body) // another body stays as it is, which the test sees
		parts := strings.Split(body[member], ".")
		if len(parts) != 3 {
			return k
		}
		parts[part] = base64.RawURLEncoding.EncodeToString([]byte(inText(string(decode64(parts[part])), pattern, instead)))
		text, _ := json.Marshal(map[string]string{member: strings.Join(parts, ".")})
		return kept{k.status, k.header, text}
	}
}

// oldVersion gives the rotated key the version that it had.
func oldVersion(s *session, all []kept, k kept) kept {
	return inBody(`/[0-9a-f]{32}"`, "/"+s.keys["p-256"].version+`"`)(s, all, k)
}

// firstPage gives a page the item of the first one.
func firstPage(s *session, all []kept, k kept) kept {
	return inBody(`/[0-9a-f]{32}"`, regexp.MustCompile(`/[0-9a-f]{32}"`).FindString(string(all[0].body)))(s, all, k)
}

// spoiledByHand gives a check each of the changes, and returns their number.
func spoiledByHand(t *testing.T, s *session, c check, answers []kept) (spoiled int) {
	t.Helper()
	for _, row := range byHand {
		if row.check != c.name {
			continue
		}
		spoiled++
		broken := &replay{answers: answers, spoiled: row.answer, spoil: func(k kept) kept {
			changed := row.spoil(s, answers, k)
			if string(changed.body) == string(k.body) && changed.header.Get("Www-Authenticate") == k.header.Get("Www-Authenticate") {
				t.Errorf("%s: answer %d is not changed: %s", c.name, row.answer, k.body)
			}
			return changed
		}}
		if o := s.do(t.Context(), c, broken); o.Result != Differs || !strings.Contains(strings.Join(o.Differences, "; "), row.says) {
			t.Errorf("%s: %s: %q is expected: %s %s %q", s.service, c.name, row.says, o.Result, o.Reason, o.Differences)
		}
	}
	return spoiled
}
