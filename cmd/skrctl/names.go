package main

import (
	"skr/attest"
	"skr/internal/azure/cloud"
	"skr/internal/config"
)

// names completes short names of vaults and authorities by the settings.
type names struct {
	cloud               cloud.Cloud
	vaults, authorities []string // allow-lists
}

func namesFor(s *config.Settings) names {
	named, _ := cloud.Parse(s.Cloud) // the settings are checked
	n := names{named, allowedVaults(s), s.MAAAllow}
	if s.Origins["maa_allow"] == config.ByAliases {
		n.authorities = attest.DefaultAuthorities()
	}
	return n
}

func (n names) vault(text string) string { return n.cloud.Vault(text, n.vaults) }

func (n names) authority(text string) string { return n.cloud.Authority(text, n.authorities) }

func (n names) all(authorities config.List) config.List {
	completed := make(config.List, len(authorities))
	for i, text := range authorities {
		completed[i] = n.authority(text)
	}
	return completed
}
