package imds

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// QuotePath is the endpoint of an Intel host's quoting enclave, at the address of the service
// (kinvolk/azure-cvm-tooling, az-tdx-vtpm, imds.rs; Azure/cvm-attestation-tools).
const QuotePath = "/acc/tdquote"

// quoteType is the only content type of a request: the host answers 415 to one with a charset
// (kinvolk/azure-cvm-tooling, pull request 91).
const quoteType = "application/json"

// maxQuoteRequest bounds a request in bytes. A genuine one has 1.4 kB.
const maxQuoteRequest = 16 << 10

// Quoter is the quoting enclave of the host.
type Quoter interface {
	// Quote returns the quote of a TD report. The error is ErrForeignReport if the report was not
	// made on this host.
	Quote(report []byte) ([]byte, error)
}

// ErrForeignReport means that the MAC of a TD report is not this host's.
var ErrForeignReport = errors.New("imds: the TD report is not of a machine on this host")

// quote answers requests for quotes. The header Metadata is not required, because one of Microsoft's clients
// does not send it. UNCONFIRMED: the bodies of errors, and the status for a foreign report.
func quote(quoter Quoter) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != quoteType {
			write(w, http.StatusUnsupportedMediaType, failure{"unsupported_media_type", "The content type must be exactly " + quoteType + "."})
			return
		}
		report, problem := readReport(r)
		if problem != "" {
			write(w, http.StatusBadRequest, failure{"bad_request", problem})
			return
		}
		made, err := quoter.Quote(report)
		switch {
		case errors.Is(err, ErrForeignReport):
			write(w, http.StatusBadRequest, failure{"bad_request", err.Error()})
		case err != nil:
			write(w, http.StatusInternalServerError, failure{"unknown", err.Error()})
		default:
			write(w, http.StatusOK, map[string]string{"quote": base64.RawURLEncoding.EncodeToString(made)})
		}
	}
}

// readReport returns the report in a request, or what is wrong with the request. The host
// accepts both alphabets of base64.
func readReport(r *http.Request) (report []byte, problem string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxQuoteRequest+1))
	if err != nil || len(body) > maxQuoteRequest {
		return nil, "The body cannot be read or is too large."
	}
	var wire struct{ Report string }
	if err := json.Unmarshal(body, &wire); err != nil || wire.Report == "" {
		return nil, "The body is not a JSON object with a report."
	}
	text := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(wire.Report, "="))
	if report, err = base64.RawURLEncoding.DecodeString(text); err != nil {
		return nil, "The report is not base64."
	}
	return report, ""
}
