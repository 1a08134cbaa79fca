package sidecar

import (
	"log/slog"
	"maps"
	"slices"

	"skr/internal/config"
	"skr/internal/keyuse"
	"skr/internal/sbom"
	"skr/internal/sidecar/coco"
	"skr/internal/sidecar/server"
)

// cocoOf returns what applications of Confidential Containers are answered with, or nil if
// there is no listener for them.
func (p *Parts) cocoOf(s *config.Settings) (*server.CoCo, error) {
	if s.CoCoListen == "" {
		return nil, nil //nolint:nilnil // nil means no routes
	}
	configs := make(map[string]coco.ResourceConfig, len(s.CoCo.Value.Resources))
	for path, r := range s.CoCo.Value.Resources {
		configs[path] = coco.ResourceConfig(r)
	}
	resources, err := coco.ParseResources(configs)
	if err != nil {
		return nil, err
	}
	answered := &server.CoCo{Resources: resources, Version: sbom.Version()}
	if host := s.CoCo.Value.Authority; host != "" {
		answered.Authority, err = p.Names.Authorities.Parse(host)
	}
	return answered, err
}

// warnOfResources warns of resources that no caller can receive.
func (p *Parts) warnOfResources(log *slog.Logger) {
	if p.coco == nil {
		return
	}
	for _, path := range slices.Sorted(maps.Keys(p.coco.Resources)) {
		r := p.coco.Resources[path]
		if rights := p.rights[r.Alias()]; !rights.Permit(r.Right()) || rights.InVault() && r.Right() != keyuse.Release {
			log.Warn("no caller receives this resource, because its alias does not permit what it needs; change the alias, or remove the resource",
				"resource", path, "alias", r.Alias(), "needs", string(r.Right()))
		}
	}
}
