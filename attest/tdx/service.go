package tdx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"skr/internal/crash"
)

// Routes of Intel's service, version 4, which Azure's caches share ("API Documentation: Intel
// SGX and Intel TDX Provisioning Certification Service", api.portal.trustedservices.intel.com).
const (
	tcbRoute        = "/tdx/certification/v4/tcb?fmspc=%x"
	qeRoute         = "/tdx/certification/v4/qe/identity"
	pckCRLRoute     = "/sgx/certification/v4/pckcrl?ca=%s&encoding=der"
	tcbHeader       = "TCB-Info-Issuer-Chain"
	qeHeader        = "SGX-Enclave-Identity-Issuer-Chain"
	maxServiceBytes = 1 << 20
)

// HTTPClient sends the requests of a source. An [*http.Client] is one. The sources do not
// retry: a client that does returns the last error.
type HTTPClient interface {
	Do(request *http.Request) (*http.Response, error)
}

var _ HTTPClient = (*http.Client)(nil)

// service is Intel's service or a cache of it.
type service struct {
	client              HTTPClient
	name, base, rootCRL string
}

// NewServiceSource returns a source that asks Intel's Provisioning Certification Service or a
// cache of it below base: https://api.trustedservices.intel.com, Azure's
// https://global.acccache.azure.net, or THIM of a region, such as
// https://useast.thim.azure.net. The list of the root is at rootCRL, usually
// https://certificates.trustedservices.intel.com/IntelSGXRootCA.der.
func NewServiceSource(client HTTPClient, name, base, rootCRL string) Source {
	return &service{client, name, strings.TrimSuffix(base, "/"), rootCRL}
}

// String implements [Source].
func (s *service) String() string { return s.name }

// Collateral implements [Source]. It asks for the four parts at once. If one fails, all fail.
func (s *service) Collateral(ctx context.Context, q *Quote) (*Collateral, error) {
	c := &Collateral{}
	ca := "platform"
	if q.pck.intermediate.Subject.CommonName == processorCA {
		ca = "processor"
	}
	waits := []func() error{
		crash.Beside(func() error {
			answer, issuers, err := s.get(ctx, s.base+fmt.Sprintf(tcbRoute, q.PCK().FMSPC), tcbHeader)
			if err == nil {
				c.TCBInfo, err = ParseTCBInfo(answer, issuers)
			}
			return named("TCB info", err)
		}),
		crash.Beside(func() error {
			answer, issuers, err := s.get(ctx, s.base+qeRoute, qeHeader)
			if err == nil {
				c.QEIdentity, err = ParseQEIdentity(answer, issuers)
			}
			return named("QE identity", err)
		}),
		crash.Beside(func() (err error) {
			c.PCKCRL, err = s.list(ctx, s.base+fmt.Sprintf(pckCRLRoute, ca))
			return named("PCK CRL", err)
		}),
		crash.Beside(func() (err error) {
			c.RootCRL, err = s.list(ctx, s.rootCRL)
			return named("root CRL", err)
		}),
	}
	var errs []error
	for _, wait := range waits {
		errs = append(errs, wait())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", ", "))
	}
	return c, nil
}

func named(part string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	return nil
}

func (s *service) list(ctx context.Context, address string) (*CRL, error) {
	answer, _, err := s.get(ctx, address, "")
	if err != nil {
		return nil, err
	}
	return ParseCRL(answer)
}

// get returns the body and the certificates in the header, which are percent-encoded PEM.
func (s *service) get(ctx context.Context, address, header string) (body, issuers []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, errors.New("the URL is malformed")
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // it has been read
	if answer.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("answered with status %d", answer.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxServiceBytes+1))
	if err == nil && len(body) > maxServiceBytes {
		err = fmt.Errorf("the answer has more than %d bytes", maxServiceBytes)
	}
	if err != nil {
		return nil, nil, err
	}
	chain, err := url.PathUnescape(answer.Header.Get(header))
	if err != nil {
		return nil, nil, fmt.Errorf("header %s is not percent-encoded", header)
	}
	return body, []byte(chain), nil
}
