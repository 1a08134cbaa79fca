package tdx

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// FuzzDecodeAnswer checks that what the host answers is read as one quote or refused.
func FuzzDecodeAnswer(f *testing.F) {
	f.Add([]byte(`{"quote":"BAACAIEA"}`))
	f.Add([]byte(`{"quote":"BAACAIEA-_8="}`))
	f.Add([]byte(`{"quote":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		raw, err := decodeAnswer(text)
		if err != nil {
			return
		}
		again, err := decodeAnswer([]byte(`{"quote":"` + base64.StdEncoding.EncodeToString(raw) + `"}`))
		if len(raw) > 0 && (err != nil || !bytes.Equal(raw, again)) {
			t.Errorf("%x is read as %x, %v", raw, again, err)
		}
	})
}
