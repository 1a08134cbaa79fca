package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// check runs the checks of the table. Errors begin with the field.
func (s *Settings) check() error {
	for _, row := range table() {
		if row.check == nil {
			continue
		}
		if err := row.check(s); err != nil {
			return fmt.Errorf("%s%w", FieldName(row.name), err)
		}
	}
	return nil
}

func positive[T int | time.Duration](field func(*Settings) T) func(*Settings) error {
	return func(s *Settings) error {
		if field(s) <= 0 {
			return errors.New(" must be positive")
		}
		return nil
	}
}

func notNegative(field func(*Settings) time.Duration) func(*Settings) error {
	return func(s *Settings) error {
		if field(s) < 0 {
			return errors.New(" must not be negative")
		}
		return nil
	}
}

func oneOf[T comparable](field func(*Settings) T, known ...T) func(*Settings) error {
	return func(s *Settings) error {
		if value := field(s); !slices.Contains(known, value) {
			return fmt.Errorf(": %v is none of %s", quoted(value), listed(known))
		}
		return nil
	}
}

func quoted(value any) any {
	if text, ok := value.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return value
}

func listed[T any](values []T) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = fmt.Sprint(value)
	}
	return strings.Join(texts, ", ")
}

// absolute allows the empty path: required paths have a default.
func absolute(field func(*Settings) string) func(*Settings) error {
	return func(s *Settings) error {
		if name := field(s); name != "" && !path.IsAbs(name) {
			return fmt.Errorf(": %q is not an absolute path", name)
		}
		return nil
	}
}

func webAddress(field func(*Settings) string) func(*Settings) error {
	return func(s *Settings) error {
		address := field(s)
		if parsed, err := url.Parse(address); err != nil || parsed.Host == "" {
			return fmt.Errorf(": %q is not a URL", address)
		}
		return nil
	}
}

// thimAddress allows no address: then the place is detected.
func thimAddress(s *Settings) error {
	if s.THIMURL == "" {
		return nil
	}
	if err := unreplaced(s.THIMURL); err != nil {
		return fmt.Errorf(": %w; give the variable %s that value instead, and leave thim_url out", err, VirtualNodeTHIM)
	}
	return webAddress(func(s *Settings) string { return s.THIMURL })(s)
}

func cryptoListener(s *Settings) error {
	switch {
	case s.CryptoListen == "":
		return nil
	case strings.HasPrefix(s.CryptoListen, "unix:"):
		return errors.New(": clients of Key Vault need https: name a loopback address and port")
	case s.CryptoDir == "":
		return errors.New(" needs crypto_dir, where clients find the certificate and the token")
	}
	return nil
}

func agentListener(s *Settings) error {
	if address, isUnix := strings.CutPrefix(s.SSHAgentListen, "unix:"); s.SSHAgentListen != "" && (!isUnix || !path.IsAbs(address)) {
		return fmt.Errorf(": %q is not unix:/path, which clients of an SSH agent need", s.SSHAgentListen)
	}
	return nil
}

// cryptoNames refuses wildcards too: the listener compares whole names.
func cryptoNames(s *Settings) error {
	for _, name := range s.CryptoNames {
		if len(name) > 253 || !hostName.MatchString(name) {
			return fmt.Errorf(": %.100q is not a DNS name such as keys.contoso.internal", name)
		}
	}
	return nil
}

func listening(s *Settings) error {
	if s.Listen == "" && s.GRPCListen == "" {
		return errors.New(" and grpc_listen: one of them is needed")
	}
	return nil
}

func hostPort(s *Settings) error {
	if s.OpsListen != "" && !isHostPort(s.OpsListen) {
		return fmt.Errorf(": %q is not an address with a port, such as :9090", s.OpsListen)
	}
	return nil
}

// isHostPort checks only the form, not whether the address is free.
func isHostPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
	return err == nil
}

func turns(s *Settings) error {
	if s.FleetInTurn && s.FleetWindow == 0 {
		return errors.New(" needs a fleet_window: without it there are no turns")
	}
	return nil
}

func stale(s *Settings) error {
	if s.MaxStale < 0 || s.MaxStale > 0 && s.KeyCacheTTL == 0 {
		return errors.New(" must not be negative, and needs key_cache_ttl")
	}
	return nil
}

func rate(s *Settings) error {
	if !(s.CallerRate >= 0) { // also true for NaN
		return errors.New(" must not be negative")
	}
	return nil
}

func tpmAddress(s *Settings) error {
	if !path.IsAbs(strings.TrimPrefix(s.TPM, "unix:")) {
		return fmt.Errorf(": %q is not an absolute path or unix:/path", s.TPM)
	}
	return nil
}

func sources(s *Settings) error {
	if len(s.CertificateSources) == 0 {
		return errors.New(": at least one is needed")
	}
	known := []string{"host", "thim", "azure-cache", "kds"}
	for _, name := range s.CertificateSources {
		if !slices.Contains(known, name) {
			return fmt.Errorf(": %q is none of %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}
