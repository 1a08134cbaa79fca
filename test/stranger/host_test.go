package stranger

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// reportSocket serves POST /report on a unix socket.
type reportSocket struct {
	path        string
	version     uint32
	measurement []byte
	upper       bool // hex digits
	before      intercept
}

func (s *reportSocket) serve(t *testing.T, seen *ledger) {
	s.path = filepath.Join(t.TempDir(), "report.sock")
	mux := http.NewServeMux()
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		var request map[string]string
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			answer(w, http.StatusBadRequest, object{"error": err.Error()})
			return
		}
		data, err := hex.DecodeString(request["report_data"])
		if err != nil || len(data) != 64 {
			answer(w, http.StatusBadRequest, object{"error": "report_data is not 128 hex digits"})
			return
		}
		text := hex.EncodeToString(milan().report(s.version, s.measurement, data))
		if s.upper {
			text = strings.ToUpper(text)
		}
		answer(w, http.StatusOK, object{"report": text})
	})
	listener := must(net.Listen("unix", s.path))
	server := &http.Server{Handler: seen.watch("report socket", &s.before, mux), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

// thim serves the host's certificates over plain HTTP (Trusted Hardware Identity
// Management, "LocalTHIM" in the reference sidecar).
type thim struct {
	host   string // address and port
	before intercept

	document object // the answer
}

const thimPath = "/metadata/THIM/amd/certification"

func newTHIM() *thim {
	s := milan()
	return &thim{document: object{
		"tcbm": fmt.Sprintf("%016X", uint64(chipTCB)), "cacheControl": "86400",
		"vcekCert": pemOf(s.vcek), "certificateChain": pemOf(s.ask) + pemOf(s.ark),
	}}
}

// each changes every string of the document.
func (h *thim) each(bend func(string) string) {
	for name, value := range h.document {
		h.document[name] = bend(value.(string))
	}
}

func (h *thim) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+thimPath, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata") != "true" {
			answer(w, http.StatusBadRequest, object{"error": "Required metadata header not specified"})
			return
		}
		answer(w, http.StatusOK, h.document)
	})
	return mux
}

// archive serves certificates over the internet, in AMD's form (AMD 57230, chapter "VCEK
// certificate") and in the form of the Azure cache.
type archive struct {
	kds, cache bool // which of the two services has the chip's certificate
}

const (
	kdsName   = "kdsintf.amd.com"
	cacheName = "global.acccache.azure.net"
)

func (a *archive) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+kdsName+"/vcek/v1/Milan/{chip}", a.amd)
	mux.HandleFunc("GET "+kdsName+"/vcek/v1/Milan/cert_chain", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(pemOf(milan().ask) + pemOf(milan().ark)))
	})
	mux.HandleFunc("GET "+cacheName+"/SevSnpVM/certificates/{chip}/{tcb}", a.azure)
	return mux
}

func (a *archive) amd(w http.ResponseWriter, r *http.Request) {
	level := func(shift uint) string { return strconv.Itoa(int(uint64(chipTCB) >> shift & 0xFF)) }
	query := r.URL.Query()
	known := a.kds && r.PathValue("chip") == hex.EncodeToString(milan().chip) && query.Get("blSPL") == level(0) &&
		query.Get("teeSPL") == level(8) && query.Get("snpSPL") == level(48) && query.Get("ucodeSPL") == level(56)
	if !known {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(milan().vcek.Raw)
}

func (a *archive) azure(w http.ResponseWriter, r *http.Request) {
	tcb, err := hex.DecodeString(r.PathValue("tcb"))
	known := a.cache && err == nil && len(tcb) == 8 && binary.BigEndian.Uint64(tcb) == chipTCB &&
		strings.EqualFold(r.PathValue("chip"), hex.EncodeToString(milan().chip)) && r.URL.Query().Get("api-version") != ""
	if !known {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write([]byte(pemOf(milan().vcek) + pemOf(milan().ask) + pemOf(milan().ark)))
}
