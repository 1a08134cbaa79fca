package agent

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"skr/attest/snp"
	"skr/internal/sidecar/serving"
	"skr/internal/strictjson"
)

const (
	maxRequest  = 4 << 10 // bytes; a good one has about 150
	readTimeout = 5 * time.Second
	// reportTimeout bounds what a client waits for; the firmware takes milliseconds,
	// and its driver makes callers wait for their turn.
	reportTimeout = 20 * time.Second
)

// ServeReports answers POST /report with {"report_data":"<128 hex digits>"} by
// {"report":"<2368 hex digits>"} or {"error":"…"}, until ctx ends. It closes the
// socket.
func (a *Agent) ServeReports(ctx context.Context, socket net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /report", a.report)
	server := &http.Server{
		Handler:           mux,
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readTimeout,
		WriteTimeout:      readTimeout + reportTimeout,
		MaxHeaderBytes:    maxRequest,
		ErrorLog:          serving.Complaints(a.config.Logger),
	}
	server.SetKeepAlivesEnabled(false)
	return serving.Until(ctx, server, grace, serving.NewBound(maxConnections, a.config.Logger).Listener(socket))
}

func (a *Agent) report(w http.ResponseWriter, r *http.Request) {
	data, err := readReportData(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), reportTimeout)
	defer cancel()
	report, err := a.config.Source.Report(ctx, data)
	if err != nil {
		a.countMissing(err)
		answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	answer(w, http.StatusOK, map[string]string{"report": hex.EncodeToString(report.Raw())})
}

// countMissing tells of reports that were not made, at most once in refusalPause: a caller
// that leaves at once causes one each time.
func (a *Agent) countMissing(err error) {
	if count := a.missing.add(); count > 0 {
		a.config.Logger.Warn("no report", "count", count, "error", err.Error())
	}
}

func readReportData(body io.Reader) (data snp.ReportData, err error) {
	var request struct {
		ReportData string `json:"report_data"`
	}
	text, err := io.ReadAll(body)
	if err == nil {
		err = strictjson.Decoder{KnownOnly: true}.Decode(text, &request)
	}
	if err != nil {
		return data, fmt.Errorf("the request is not {\"report_data\":\"<%d hex digits>\"}", 2*len(data))
	}
	raw, err := hex.DecodeString(request.ReportData)
	if err != nil || len(raw) != len(data) {
		return data, fmt.Errorf("report_data is not %d hex digits", 2*len(data))
	}
	return snp.ReportData(raw), nil
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone needs no answer
}
