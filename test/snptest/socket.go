package snptest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"skr/attest/snp"
)

// maxRequest limits the body of a request; a valid one has about 150 bytes.
const maxRequest = 4 << 10

// ReportHandler serves the protocol of the report socket: POST /report with
// {"report_data":"<128 hex digits>"} answers {"report":"<2368 hex digits>"}, or
// {"error":"<text>"} with another status. options is called for each report;
// nil means none.
func (c *Chip) ReportHandler(options func() Options) http.Handler {
	if options == nil {
		options = func() Options { return Options{} }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		data, err := readRequest(w, r)
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		raw, err := c.Report(data, options())
		if err != nil {
			answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		answer(w, http.StatusOK, map[string]string{"report": hex.EncodeToString(raw)})
	})
	return mux
}

// Serve answers at socketPath until ctx is done. Then it removes the socket and
// returns nil.
func (c *Chip) Serve(ctx context.Context, socketPath string, options func() Options) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", socketPath)
	if err != nil {
		return fmt.Errorf("snptest: serving reports: %w", err)
	}
	server := &http.Server{Handler: c.ReportHandler(options), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("snptest: serving reports: %w", err)
	}
	return nil
}

func readRequest(w http.ResponseWriter, r *http.Request) (snp.ReportData, error) {
	var request struct {
		ReportData string `json:"report_data"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&request); err != nil {
		return snp.ReportData{}, fmt.Errorf("decoding the request: %w", err)
	}
	data, err := hex.DecodeString(request.ReportData)
	if err != nil {
		return snp.ReportData{}, fmt.Errorf("decoding report_data: %w", err)
	}
	if len(data) != len(snp.ReportData{}) {
		return snp.ReportData{}, fmt.Errorf("report_data has %d bytes, want %d", len(data), len(snp.ReportData{}))
	}
	return snp.ReportData(data), nil
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may have disconnected
}
