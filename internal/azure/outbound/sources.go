package outbound

import (
	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/internal/config"
)

// AKRoots returns the roots of ak_roots, or those of Azure.
func AKRoots(s *config.Settings) (*vtpm.Roots, error) {
	if s.AKRoots == "" {
		return vtpm.AzureRoots(), nil
	}
	data, err := config.ReadBounded(s.AKRoots, maxRootsFile)
	if err != nil {
		return nil, err
	}
	return vtpm.ParseRoots(data)
}

// AMDRoots returns the roots of amd_roots, or those of AMD.
func AMDRoots(s *config.Settings) (*vcek.Roots, error) {
	if s.AMDRoots == "" {
		return vcek.BuiltinRoots(), nil
	}
	data, err := config.ReadBounded(s.AMDRoots, maxRootsFile)
	if err != nil {
		return nil, err
	}
	return vcek.ParseRoots(data)
}

// THIM returns the source at a place, with a name that says what leads there unless
// thim_url sets the only one.
func (o *Clients) THIM(place config.CertificateCache) vcek.Source {
	switch {
	case place.Err != nil:
		return vcek.NewUnusableTHIMSource(place.From, place.Err)
	case place.From == "thim_url":
		return vcek.NewTHIMSource(o.thim.Transporter(), place.URL, "")
	}
	return vcek.NewTHIMSource(o.thim.Transporter(), place.URL, place.From)
}

// CertificateSources returns the sources of certificate_sources, in order. It omits a nil host.
func CertificateSources(s *config.Settings, out *Clients, host vcek.Source) (sources []vcek.Source) {
	for _, name := range s.CertificateSources {
		switch name {
		case "host":
			if host != nil {
				sources = append(sources, host)
			}
		case "thim":
			for _, cache := range s.CertificateCaches() {
				sources = append(sources, out.THIM(cache))
			}
		case "azure-cache":
			sources = append(sources, vcek.NewAzureCacheSource(out.azureCache.Transporter(), s.AzureCacheURL, s.AzureCacheAPIVersion, s.AzureCacheClientID))
		case "kds":
			sources = append(sources, vcek.NewKDSSource(out.kds.Transporter(), s.KDSURL))
		}
	}
	return sources
}
