package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// idle returns warnings about settings that have no effect because of another setting. Combinations
// that affect security are refused by check.
func (s *Settings) idle(all *pflag.FlagSet) (warnings []string) {
	chip := s.ReportSource != Automatic && s.ReportSource != VirtualTPM
	for _, rule := range []struct {
		is     bool
		fields []string
		why    string
	}{
		{chip, []string{"tpm", "event-log", "ak-roots"}, "report_source is " + s.ReportSource},
		{s.OpsListen == "", []string{"ops-doctor"}, "ops_listen is not set"},
		{s.GRPCListen == "", []string{"wrap-keys"}, "grpc_listen is not set"},
		{s.KeyCacheTTL > 0, []string{"key-refresh"}, "key_cache_ttl is set, and is the time after which keys are released again"},
		{s.CryptoListen == "", []string{"crypto-dir", "crypto-names"}, "crypto_listen is not set"},
		{s.CoCoListen == "", []string{"coco"}, "coco_listen is not set"},
	} {
		for _, field := range rule.fields {
			if flag := all.Lookup(field); rule.is && flag.Changed && flag.Value.String() != flag.DefValue {
				warnings = append(warnings, fmt.Sprintf("%s (set by %s) has no effect: %s", FieldName(field), setterOf(flag), rule.why))
			}
		}
	}
	return warnings
}

func setterOf(flag *pflag.Flag) string {
	if by := flag.Annotations[setBy]; len(by) > 0 {
		return by[0]
	}
	return FieldName(flag.Name)
}
