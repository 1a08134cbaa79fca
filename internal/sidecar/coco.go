package sidecar

import (
	"skr/internal/config"
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
