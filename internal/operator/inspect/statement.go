package inspect

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"skr/hsm"
	"skr/internal/strictjson"
)

// statement is a vault's release statement.
type statement struct {
	parsed          *hsm.Statement
	header, payload strictjson.Object
}

// recogniseStatement recognises the payload by the wrapped key in it.
func recogniseStatement(in input) (content, error) {
	t, err := parseSigned(in, "value")
	if err != nil {
		return nil, errOther // recogniseSigned returns what is wrong
	}
	if _, found := t.payload.Lookup("response.key.key.key_hsm"); !found {
		return nil, errOther
	}
	parsed, err := hsm.ParseStatement(t.text)
	if err != nil {
		return nil, err
	}
	return &statement{parsed, t.header, t.payload}, nil
}

func (s *statement) sections(now time.Time) []Section {
	sections := []Section{s.request(), s.key(now)}
	if encoded, found := s.payload.Text("response.key.release_policy.data"); found {
		sections = append(sections, encodedPolicy(encoded)...)
	}
	for _, certificate := range s.parsed.Certificates() {
		sections = append(sections, certificateSection(certificate, now))
	}
	return sections
}

func (s *statement) request() Section {
	algorithm, length := s.parsed.Wrapping()
	section := Section{Title: "Release statement, whose signature is not verified here"}
	section.add("alg", textAt(s.header, "alg"), "how the vault signed it")
	section.add("request.kid", textAt(s.payload, "request.kid"), "key that was asked for")
	section.add("request.enc", textAt(s.payload, "request.enc"), "how it was to be wrapped")
	section.add("key_hsm", strconv.Itoa(length), "bytes of the key, wrapped by "+algorithm)
	return section
}

// key lists the key without the wrapped part.
func (s *statement) key(now time.Time) Section {
	all := claimSection("Key", s.payload, now)
	section := Section{Title: all.Title}
	for _, f := range all.Fields {
		name, below := strings.CutPrefix(f.Name, "response.key.")
		if below && name != "key.key_hsm" && name != "release_policy.data" {
			section.add(name, f.Value, f.Meaning)
		}
	}
	return section
}

func textAt(o strictjson.Object, path string) string {
	text, _ := o.Text(path)
	return text
}

// Statement returns the release statement, and false if the artefact is something else.
func (a Artefact) Statement() (*hsm.Statement, bool) {
	s, ok := a.content.(*statement)
	if !ok {
		return nil, false
	}
	return s.parsed, true
}

func malformed(err error) error { return errors.New("it " + err.Error()) }
