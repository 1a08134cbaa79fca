package inspect

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"skr/internal/jose/jws"
	"skr/internal/strictjson"
)

// maxSigned bounds tokens and statements; a statement has 11 KB.
const maxSigned = 256 << 10

// token is an MAA token or another JWS, in compact form.
type token struct {
	text     string
	header   strictjson.Object
	payload  strictjson.Object
	isObject bool // the payload
	size     int  // of the payload
}

// compact returns the compact form: alone, or as the member of an answer that holds it.
func compact(in input, member string) (string, bool) {
	if in.has(member) {
		text, ok := in.object.Text(member)
		return text, ok && looksCompact(text)
	}
	text := string(in.text)
	return text, !in.isObject && looksCompact(text)
}

// looksCompact reports whether text begins like base64url of a JSON object and has two dots
// (RFC 7515 section 7.1).
func looksCompact(text string) bool {
	return strings.HasPrefix(text, "ey") && strings.Count(text, ".") == 2 && !strings.ContainsAny(text, " \t\r\n")
}

func recogniseToken(in input) (content, error) {
	t, err := parseSigned(in, "token")
	if err != nil {
		return nil, err
	}
	_, typed := t.payload.Lookup("x-ms-attestation-type")
	_, versioned := t.payload.Lookup("x-ms-ver")
	if !typed && !versioned {
		return nil, errOther
	}
	return t, nil
}

func recogniseSigned(in input) (content, error) {
	t, err := parseSigned(in, "value")
	if err != nil {
		return nil, err
	}
	return t, nil
}

func parseSigned(in input, member string) (*token, error) {
	text, found := compact(in, member)
	if !found {
		return nil, errOther
	}
	signed, err := jws.Parse(text, maxSigned)
	if err != nil {
		return nil, malformed(err)
	}
	t := &token{text: text, size: len(signed.Payload)}
	if t.header, err = strictjson.Parse(signed.Header); err != nil {
		return nil, malformed(err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(signed.Payload), []byte("{")) {
		if t.payload, err = strictjson.Parse(signed.Payload); err != nil {
			return nil, malformed(err)
		}
		t.isObject = true
	}
	return t, nil
}

func (t *token) sections(now time.Time) []Section {
	header := claimSection("Header", t.header, now)
	if !t.isObject {
		payload := Section{Title: "Payload"}
		payload.add("size", strconv.Itoa(t.size), "bytes, no JSON object")
		return []Section{header, payload}
	}
	return []Section{header, claimSection("Claims, whose signature is not verified here", t.payload, now)}
}

// Token returns the compact form of an MAA token, and false if the artefact is something else.
func (a Artefact) Token() (string, bool) {
	t, ok := a.content.(*token)
	if !ok || a.kind != MAAToken {
		return "", false
	}
	return t.text, true
}
