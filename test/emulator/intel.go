package emulator

import (
	"net/http"
	"sync"
	"time"

	"skr/attest/tdx"
	"skr/test/emulator/imds"
	"skr/test/tdxtest"
)

// intelRootsFile has the root of the emulated Intel.
const intelRootsFile = "intel-roots.pem"

// IntelConfig configures the Intel host below the machines with TDX.
type IntelConfig struct {
	// Vendor is the emulated Intel; nil means a new one with new keys.
	Vendor *tdxtest.Vendor
	// Quote describes the host's quotes; the zero value means version 4 with the
	// padding that Azure's quotes have.
	Quote tdxtest.QuoteOptions
	// Collateral describes what Intel publishes; by default the platform is UpToDate.
	// [tdxtest.OutOfDate] makes it OutOfDate.
	Collateral tdxtest.CollateralOptions
}

// azurePadding is the number of zero bytes after Azure's quotes of version 4.
const azurePadding = 70

// intel is the host below the machines with TDX: its platform with the quoting enclave, and what
// Intel publishes about it.
type intel struct {
	vendor   *tdxtest.Vendor
	platform *tdxtest.Platform
	roots    []*tdx.Roots // Intel's own and the emulated vendor's
	now      func() time.Time
	// forgery returns the forgery for the next answer of a service, or "".
	forgery func(service string) string

	mu     sync.Mutex
	config IntelConfig
}

var _ imds.Quoter = (*intel)(nil)

func newIntel(c Config, forgery func(service string) string) (*intel, error) {
	h := &intel{vendor: c.Intel.Vendor, config: c.Intel, now: c.Now, forgery: forgery}
	var err error
	if h.vendor == nil {
		if h.vendor, err = tdxtest.NewVendor(c.Now()); err != nil {
			return nil, err
		}
	}
	if h.platform, err = h.vendor.NewPlatform(tdxtest.PlatformOptions{}); err != nil {
		return nil, err
	}
	own, err := tdx.ParseRoots(h.vendor.RootsPEM())
	h.roots = []*tdx.Roots{tdx.BuiltinRoots(), own}
	return h, err
}

func (h *intel) current() IntelConfig {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.config
}

// Quote returns the quote of a TD report that this platform made.
func (h *intel) Quote(report []byte) ([]byte, error) {
	if !h.platform.Made(report) {
		return nil, imds.ErrForeignReport
	}
	o := h.current().Quote
	if o.Version < 5 && o.Padding == 0 {
		o.Padding = azurePadding
	}
	forgery := h.forgery(ServiceQuote)
	for _, f := range tdxtest.Forgeries() {
		if f.Name == forgery {
			return f.Quote(h.vendor, h.platform, report, o)
		}
	}
	return h.platform.Quote(report, o)
}

// published returns today's collateral of the platform, as Intel's service has it.
func (h *intel) published(forgery string) (tdxtest.Collateral, error) {
	o := h.current().Collateral
	if o.Issued.IsZero() {
		o.Issued = h.now().Add(-time.Hour)
	}
	for _, f := range tdxtest.CollateralForgeries() {
		if f.Name == forgery {
			return f.Collateral(h.vendor, h.platform, o)
		}
	}
	return h.vendor.Collateral(h.platform, o)
}

// collateral returns the collateral for MAA. Quotes of other platforms have none.
func (h *intel) collateral(quote *tdx.Quote) (*tdx.Collateral, error) {
	if quote.PCK().FMSPC != h.platform.PCK().FMSPC || !quote.Certificates()[0].Equal(h.platform.Certificate()) {
		return nil, nil //nolint:nilnil // nothing is known about it
	}
	published, err := h.published("")
	if err != nil {
		return nil, err
	}
	bundle, err := published.Bundle()
	if err != nil {
		return nil, err
	}
	return tdx.ParseCollateral(bundle)
}

// collateralService answers as Intel's service and as Azure's caches of it do.
func (h *intel) collateralService(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		published, err := h.published(h.forgery(name))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		published.ServeHTTP(w, r)
	})
}

// UpdateIntel changes the later quotes of the host and the later collateral.
func (c *Cloud) UpdateIntel(change func(*IntelConfig)) {
	c.intel.mu.Lock()
	defer c.intel.mu.Unlock()
	change(&c.intel.config)
}

// Intel returns the emulated Intel.
func (c *Cloud) Intel() *tdxtest.Vendor { return c.intel.vendor }

// IntelPlatform returns the platform of all machines with TDX.
func (c *Cloud) IntelPlatform() *tdxtest.Platform { return c.intel.platform }

// compliantTD reports whether MRTD is one of the cloud's own machines or configured as compliant.
func (c *Cloud) compliantTD(mrtd tdx.Measurement) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compliantTDs[mrtd]
}

// quoteForgeries and collateralForgeries are the names that a fault rule can request, as in
// "imds/quote:forge=body-mrtd" and "pcs:forge=pck-revoked".
func quoteForgeries() (names []string) {
	for _, f := range tdxtest.Forgeries() {
		names = append(names, f.Name)
	}
	return names
}

func collateralForgeries() (names []string) {
	for _, f := range tdxtest.CollateralForgeries() {
		names = append(names, f.Name)
	}
	return names
}
