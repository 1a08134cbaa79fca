package e2e

import (
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"skr/api"
	"skr/attest/snp"
	"skr/test/emulator"
	"skr/test/snptest"
)

// TestHostileReportSocket: skr does not trust the peer at the report socket.
func TestHostileReportSocket(t *testing.T) {
	t.Parallel()
	lab := newLab(t, emulator.Config{})
	path := filepath.Join(filepath.Dir(lab.cloud.Machine().Socket()), "hostile.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var answer atomic.Pointer[http.HandlerFunc]
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	raw, err := lab.cloud.Chip().Report(snp.ReportData{}, snptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var good http.HandlerFunc = lab.cloud.Chip().ReportHandler(func() snptest.Options {
		return snptest.Options{HostData: lab.cloud.Machine().HostData()}
	}).ServeHTTP
	answer.Store(&good)
	s := lab.sidecar(t, "SKR_REPORT_SOURCE=unix:"+path)
	data := []byte("{}")
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   api.Code
	}{
		{"replay", text(200, `{"report":"`+hex.EncodeToString(raw)+`"}`), api.NoEvidence},
		{"short", text(200, `{"report":"00"}`), api.NoEvidence},
		{"long", text(200, `{"report":"`+strings.Repeat("00", 1185)+`"}`), api.NoEvidence},
		{"not hex", text(200, `{"report":"`+strings.Repeat("zz", 1184)+`"}`), api.NoEvidence},
		{"two reports", text(200, `{"report":"`+hex.EncodeToString(raw)+`","report":"00"}`), api.NoEvidence},
		{"null", text(200, `null`), api.NoEvidence},
		{"array", text(200, `[]`), api.NoEvidence},
		{"error that holds a report", text(500, `{"error":"`+hex.EncodeToString(raw)+`"}`), api.NoEvidence},
		{"page that holds a report", text(500, hex.EncodeToString(raw)), api.NoEvidence},
		{"error with line breaks", text(500, `{"error":"a\r\nb\u0000\u001b[31m"}`), api.NoEvidence},
		{"not HTTP", bytesOnWire("SSH-2.0-OpenSSH_9.6\r\n"), api.NoEvidence},
		{"101", bytesOnWire("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), api.NoEvidence},
		{"endless header", flood("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("a", 1000)+"\r\n"), api.NoEvidence},
		{"endless body", flood("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat(" ", 1<<16)), api.NoEvidence},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer.Store(&c.answer)
			ctx, cancel := context.WithTimeout(t.Context(), requestTimeout+answerSlack)
			defer cancel()
			begin := time.Now()
			_, err := s.client.Report(ctx, data)
			judgeAnswer(t, s, err, c.want, time.Since(begin))
			lab.expect(t, s, lab.request(), c.want)
			answer.Store(&good)
			lab.expect(t, s, lab.request(), served)
		})
	}
}
