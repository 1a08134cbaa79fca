// Package imds emulates the parts of Azure's Instance Metadata Service that a
// sidecar uses: THIM, the cache of AMD certificates, and the managed identity
// endpoint.
//
// The service speaks plain HTTP, requires the header Metadata: true, and has
// the same paths as on 169.254.169.254. The certificates and tokens come from a
// [Certifier] and from [Identities].
//
// Sources: Azure documentation, "How to use managed identities for Azure
// resources on an Azure VM to acquire an access token"; THIM's answers were
// seen on Azure virtual machines in 2022 to 2026.
package imds

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Paths of the service.
const (
	CertificationPath = "/metadata/THIM/amd/certification"
	TokenPath         = "/metadata/identity/oauth2/token"
)

// Certification is THIM's answer, with its members in the order of 2026. All
// are strings; the certificates are PEM.
type Certification struct {
	CacheControl     string `json:"cacheControl"`
	CertificateChain string `json:"certificateChain"` // ASK, ARK
	TCBM             string `json:"tcbm"`             // 16 upper-case hex digits of REPORTED_TCB
	VCEKCert         string `json:"vcekCert"`
}

// Certifier provides the certificates of the machine below.
type Certifier interface {
	// Certification returns the certificates. The error is ErrNoCertificate if
	// there is none.
	Certification(Wanted) (Certification, error)
}

// Wanted is a query for certificates.
type Wanted struct {
	// PlatformID and TCB are chip and TCB in hex; "" means the machine's own.
	PlatformID, TCB string
	// Product, such as "Milan", asks for the VLEK; "" asks for the VCEK.
	Product string
}

// Token is an access token of a managed identity.
type Token struct {
	Value     string
	ClientID  string
	NotBefore time.Time
	Expires   time.Time
}

// Identities are the managed identities that are assigned to the machine.
type Identities interface {
	// ManagedIdentityToken returns a token for resource and that identity. The
	// error is ErrNoIdentity or ErrUnknownResource.
	ManagedIdentityToken(resource string, of Identity) (Token, error)
}

// Identity names a managed identity by one of its names. If all are empty, the
// system-assigned identity is meant.
type Identity struct {
	ClientID, ObjectID string // GUIDs
	ResourceID         string // the path of the identity in Azure Resource Manager
}

// Errors of the interfaces.
var (
	ErrNoCertificate   = errors.New("imds: no certificate for that platform and TCB")
	ErrNoIdentity      = errors.New("imds: that identity is not assigned to the machine")
	ErrUnknownResource = errors.New("imds: that resource was not found in the tenant")
)

// New returns the service.
func New(certifier Certifier, identities Identities) http.Handler {
	s := &service{certifier, identities}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+CertificationPath, s.certification)
	mux.HandleFunc("GET "+TokenPath, s.token)
	mux.HandleFunc("GET "+TokenPath+"/{$}", s.token) // @azure/identity sends the slash
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusNotFound, failure{"Not found", "This path does not exist."})
	})
	return metadataOnly(mux)
}

// NewProxy returns the proxy of an ACI host, which serves THIM at the same path
// and nothing else (microsoft/confidential-sidecar-containers, issue 154).
func NewProxy(certifier Certifier) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+CertificationPath, (&service{certifier: certifier}).certification)
	return metadataOnly(mux)
}

type service struct {
	certifier  Certifier
	identities Identities
}

type failure struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// metadataOnly protects against server-side request forgery as the service
// does: the header Metadata: true is required, X-Forwarded-For is refused. A
// probe without the header thus gets 400.
func metadataOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Metadata") != "true":
			write(w, http.StatusBadRequest, failure{"bad_request_102", "Required metadata header not specified"})
		case r.Header.Get("X-Forwarded-For") != "":
			write(w, http.StatusBadRequest, failure{"bad_request_103", "X-Forwarded-For header is not allowed"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func write(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Server", "IMDS/150.870.65.1854")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// certification honours tcbVersion and platformId, which CCF sends
// (microsoft/CCF, doc/operations/platforms/snp.rst), and the productName of a
// query for a VLEK (microsoft/archived-confidential-sidecar-containers, issue 31).
func (s *service) certification(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	answer, err := s.certifier.Certification(Wanted{q.Get("platformId"), q.Get("tcbVersion"), q.Get("productName")})
	switch {
	case errors.Is(err, ErrNoCertificate):
		write(w, http.StatusNotFound, failure{"Not found", err.Error()})
	case err != nil:
		write(w, http.StatusInternalServerError, failure{"unknown", err.Error()})
	default:
		write(w, http.StatusOK, answer)
	}
}
