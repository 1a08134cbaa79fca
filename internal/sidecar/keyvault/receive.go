package keyvault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// maxBody bounds a request in bytes, as the vault's largest operation is below 16 KiB.
const maxBody = 64 << 10

// ioTimeout bounds how long a client takes to send a body, and to read an answer.
const ioTimeout = 10 * time.Second

// receive reads the body into one buffer: it may be secret, and a larger buffer would leave a copy.
func receive(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(ioTimeout)) // a test's recorder has none
	size := int64(maxBody + 1)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	body := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err := body.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return body.Bytes(), errors.New("the body did not arrive in time")
	case err != nil:
		return body.Bytes(), errors.New("the body could not be read")
	case body.Len() > maxBody:
		return body.Bytes(), fmt.Errorf("the body is larger than %d bytes", maxBody)
	}
	_ = control.SetReadDeadline(time.Time{}) // net/http now watches whether the client is gone
	return body.Bytes(), nil
}
