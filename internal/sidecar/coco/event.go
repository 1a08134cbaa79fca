package coco

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxEvent bounds the body of an event in bytes.
const maxEvent = 64 << 10

// NotEnabled is the answer to an event: guest-components gives it if its log is not enabled.
// This sidecar extends no register: release policies and keys in the TPM depend on them.
const NotEnabled = `{"success":"false","message": "Attestation Agent does not enable eventlog recording"}`

// NotSupported is the answer on machines without a virtual TPM.
const NotSupported = `{"success":"false","message": "The platform does not support runtime measurement"}`

// illegal begins an error as guest-components does, with its spelling.
const illegal = "Illegal AAEL eventry format"

// checkEvent checks the body of a request to log an event.
func checkEvent(w http.ResponseWriter, r *http.Request) error {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(ioTimeout)) // a test's recorder has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	if err != nil {
		return fmt.Errorf("%s: the body could not be read, or is larger than %d bytes", illegal, maxEvent)
	}
	_ = control.SetReadDeadline(time.Time{})
	var event struct{ Domain, Operation, Content *string }
	if json.Unmarshal(body, &event) != nil || event.Domain == nil || event.Operation == nil || event.Content == nil {
		return errors.New(illegal + ": domain, operation and content must be strings") //nolint:staticcheck // guest-components' words
	}
	return nil
}
