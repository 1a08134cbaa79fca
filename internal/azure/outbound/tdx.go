package outbound

import (
	"fmt"
	"time"

	"skr/attest/tdx"
	"skr/internal/config"
)

// quotePath is the path of an Azure host's quote service, on the address of the instance metadata
// service (kinvolk/azure-cvm-tooling, az-tdx-vtpm, imds.rs).
const quotePath = "/acc/tdquote"

// QuoteHost returns the host that quotes this machine's TD reports. It is asked without a proxy.
func QuoteHost(s *config.Settings, out *Clients) *tdx.Host {
	return tdx.NewHost(out.quotes.Transporter(), s.IMDSURL+quotePath)
}

// QuoteVerifier returns the verifier of TDX quotes, as the settings say.
func QuoteVerifier(s *config.Settings, out *Clients) (*tdx.Verifier, error) {
	roots, err := s.IntelRoots()
	if err != nil {
		return nil, fmt.Errorf("intel_roots: %w", err)
	}
	policy, err := s.TCBPolicy()
	if err != nil {
		return nil, fmt.Errorf("tcb_status: %w", err)
	}
	return tdx.NewVerifier(tdx.Config{Roots: roots, Sources: CollateralSources(s, out), Policy: policy, Now: time.Now}), nil
}

// CollateralSources returns the sources of collateral_sources, in order. A file is read now.
func CollateralSources(s *config.Settings, out *Clients) (sources []tdx.Source) {
	for _, name := range s.CollateralSources {
		switch name {
		case "pccs":
			sources = append(sources, tdx.NewServiceSource(out.intel.Transporter(), "PCCS", s.PCCSURL, s.IntelRootCRLURL))
		case "pcs":
			sources = append(sources, tdx.NewServiceSource(out.intel.Transporter(), "Intel PCS", s.PCSURL, s.IntelRootCRLURL))
		default:
			sources = append(sources, collateralFile(name))
		}
	}
	return sources
}

func collateralFile(path string) tdx.Source {
	data, err := config.ReadBounded(path, maxRootsFile)
	if err != nil {
		return tdx.NewUnusableFileSource(path, err)
	}
	return tdx.NewFileSource(path, data)
}
