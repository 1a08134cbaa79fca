package tdxtest

import (
	"encoding/hex"
	"net/http"
	"net/url"
)

// RootCRLPath is where [Collateral.ServeHTTP] has the list of the root.
const RootCRLPath = "/IntelSGXRootCA.der"

// ServeHTTP answers as Intel's service does, for one platform: other FMSPCs are unknown.
func (c Collateral) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.RequestURI() {
	case "/tdx/certification/v4/tcb?fmspc=" + c.FMSPC:
		w.Header().Set("TCB-Info-Issuer-Chain", url.PathEscape(string(c.Issuers)))
		_, _ = w.Write(c.TCBInfo)
	case "/tdx/certification/v4/qe/identity":
		w.Header().Set("SGX-Enclave-Identity-Issuer-Chain", url.PathEscape(string(c.Issuers)))
		_, _ = w.Write(c.QEIdentity)
	case "/sgx/certification/v4/pckcrl?ca=platform&encoding=der":
		_, _ = w.Write(c.PCKCRL)
	case RootCRLPath:
		_, _ = w.Write([]byte(hex.EncodeToString(c.RootCRL)))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}
