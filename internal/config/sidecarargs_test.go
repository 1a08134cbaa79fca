package config

import (
	"encoding/base64"
	"strings"
	"testing"
)

// Members in different capitals mean what they mean to the reference. A duplicate name has
// two meanings and is refused.
func TestSideCarArgs(t *testing.T) {
	const id = `"00000000-0000-0000-0000-000000000001"`
	for text, want := range map[string]string{
		`{"identity":{"client_id":` + id + `}}`:                              "",
		`{"Identity":{"Client_ID":` + id + `}}`:                              "",
		` {"identity":{"client_id":` + id + `},"certcache":null} `:           "",
		`{"identity":{"client_id":"x","client_id":` + id + `}}`:              "twice",
		`{"identity":{"client_id":"x","CLIENT_ID":` + id + `}}`:              "in different capitals",
		`{"identity":{"client_id":"x"},"Identity":{"client_id":` + id + `}}`: "in different capitals",
		`{"identity":{"client_id":` + id + `},"other":{"a":1,"a":2}}`:        "twice",
		`{"identity":{"client_id":` + id + `}} {}`:                           "reading its JSON",
	} {
		args, err := parseSideCarArgs(base64.StdEncoding.EncodeToString([]byte(text)))
		switch {
		case want == "" && (err != nil || `"`+args.Identity.ClientID+`"` != id):
			t.Errorf("%s: got %+v, %v", text, args, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := parseSideCarArgs(base64.StdEncoding.EncodeToString([]byte(" null "))); err != nil {
		t.Errorf("null: %v", err)
	}
}
