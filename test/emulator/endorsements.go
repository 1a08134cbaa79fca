package emulator

import (
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"strconv"
	"strings"

	"skr/attest/snp"
)

const azureCachePath = "/SevSnpVM/certificates"

// keyDistribution serves AMD's KDS for this processor: VCEKs in DER and the
// issuers of its product line in PEM (AMD 57230, chapter KDS Interface).
func (s *silicon) keyDistribution() http.Handler {
	mux := http.NewServeMux()
	line := "GET /vcek/v1/" + s.vendor.Product().String()
	mux.HandleFunc(line+"/cert_chain", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(s.vendor.ChainPEM())
	})
	mux.HandleFunc(line+"/{hwid}", s.answerVCEK)
	return mux
}

func (s *silicon) answerVCEK(w http.ResponseWriter, r *http.Request) {
	id := s.chip.ID()
	if r.PathValue("hwid") != hex.EncodeToString(id.HWID(s.vendor.Product())) {
		http.NotFound(w, r)
		return
	}
	levels, ok := patchLevels(r)
	if !ok {
		http.Error(w, "a security patch level is missing or malformed", http.StatusBadRequest)
		return
	}
	certificate, err := s.chip.VCEK(levels.TCB(s.vendor.Product()))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	block, _ := pem.Decode(certificate)
	w.Header().Set("Content-Type", "application/pkix-cert")
	_, _ = w.Write(block.Bytes)
}

// patchLevels parses the query. fmcSPL exists on Turin only.
func patchLevels(r *http.Request) (levels snp.Components, ok bool) {
	for name, level := range map[string]*uint8{
		"blSPL": &levels.Bootloader, "teeSPL": &levels.TEE, "snpSPL": &levels.SNP, "ucodeSPL": &levels.Microcode, "fmcSPL": &levels.FMC,
	} {
		text := r.URL.Query().Get(name)
		if text == "" && name == "fmcSPL" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return levels, false
		}
		*level = uint8(n)
	}
	return levels, true
}

// azureCache serves Azure's public cache: the leaf and its issuers in one PEM
// document, and the collateral of Intel.
func (s *silicon) azureCache(collateral http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", collateral)
	mux.HandleFunc("GET "+azureCachePath+"/{chip}/{tcb}", func(w http.ResponseWriter, r *http.Request) {
		id := s.chip.ID()
		raw, err := strconv.ParseUint(r.PathValue("tcb"), 16, 64)
		if err != nil || !strings.EqualFold(r.PathValue("chip"), hex.EncodeToString(id[:])) {
			http.NotFound(w, r)
			return
		}
		chain, err := s.chip.ChainPEM(snp.NewTCB(raw, s.vendor.Product()))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(chain)
	})
	return mux
}
