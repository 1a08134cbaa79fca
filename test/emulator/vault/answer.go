package vault

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// answer is a response before it is written.
type answer struct {
	status    int
	body      object // nil means no body
	challenge string // WWW-Authenticate of a 401
}

func ok(body object) (answer, error) {
	return answer{status: http.StatusOK, body: body}, nil
}

// write is the only function that writes a response.
func (v *Vault) write(w http.ResponseWriter, r *http.Request, a answer) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("x-ms-request-id", newGUID())
	if id := r.Header.Get("x-ms-client-request-id"); id != "" {
		h.Set("x-ms-client-request-id", id)
	}
	if a.challenge != "" {
		h.Set("WWW-Authenticate", a.challenge)
	}
	if v.managedHSM() {
		v.hsmHeaders(h, r, a)
	} else {
		v.vaultHeaders(h, r, a)
	}
	var body []byte
	if a.body != nil {
		body = v.encode(a.body)
	}
	if a.status != http.StatusNoContent || v.managedHSM() {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // the client may have disconnected
}

// vaultHeaders sets the headers that the recordings show for a vault.
func (v *Vault) vaultHeaders(h http.Header, r *http.Request, a answer) {
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("Strict-Transport-Security", "max-age=31536000;includeSubDomains")
	h.Set("x-ms-keyvault-region", v.config.Region)
	h.Set("x-ms-keyvault-service-version", "1.9.749.1")
	h.Set("x-ms-keyvault-network-info", "conn_type=Ipv4;addr="+clientAddress(r)+";act_addr_fam=InterNetwork;")
	if a.body != nil {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	if a.status != http.StatusUnauthorized {
		h.Set("x-ms-keyvault-rbac-assignment-id", "00000000-0000-0000-0000-000000000000")
		h.Set("x-ms-keyvault-rbac-cache", "ra_age=0;da_age=0;rd_age=0;brd_age=0;ra_notif_age=0;dec_lev=1;")
	}
}

// hsmHeaders sets the headers that the recordings show for a Managed HSM.
func (v *Vault) hsmHeaders(h http.Header, r *http.Request, a answer) {
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'self'")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("x-ms-server-latency", "1")
	if a.status == http.StatusUnauthorized {
		return
	}
	h.Set("x-ms-keyvault-region", v.config.Region)
	h.Set("x-ms-keyvault-network-info", "conn_type=Ipv4;addr="+clientAddress(r)+";act_addr_fam=Ipv4;")
	if r.Method == http.MethodGet {
		h.Set("x-ms-build-version", "1.0.20230312-1-12e5b134-feb-lkg")
	}
}

func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "127.0.0.1"
	}
	return host
}

// newGUID returns a random UUID (RFC 9562 section 5.4).
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
