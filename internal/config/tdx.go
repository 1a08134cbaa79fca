package config

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"skr/attest/tdx"
)

// maxIntelRoots bounds the file of intel_roots in bytes.
const maxIntelRoots = 1 << 20

// IntelRoots returns the roots of intel_roots, or that of Intel.
func (s *Settings) IntelRoots() (*tdx.Roots, error) {
	if s.IntelRootsFile == "" {
		return tdx.BuiltinRoots(), nil
	}
	data, err := ReadBounded(s.IntelRootsFile, maxIntelRoots)
	if err != nil {
		return nil, err
	}
	return tdx.ParseRoots(data)
}

// TCBPolicy returns what tcb_status demands.
func (s *Settings) TCBPolicy() (tdx.Policy, error) { return tdx.ParsePolicy(s.TCBStatus...) }

func intelRoots(s *Settings) error {
	if _, err := s.IntelRoots(); err != nil {
		return fmt.Errorf(": %w", err)
	}
	return nil
}

func tcbStatus(s *Settings) error {
	if _, err := s.TCBPolicy(); err != nil {
		return fmt.Errorf(": %w", err)
	}
	return nil
}

func collateralSources(s *Settings) error {
	known := []string{"pccs", "pcs"}
	for _, name := range s.CollateralSources {
		if !slices.Contains(known, name) && !path.IsAbs(name) {
			return fmt.Errorf(": %q is none of %s, and not the absolute path of a file", name, strings.Join(known, ", "))
		}
	}
	return nil
}
