package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// idle warns of settings that do nothing, because another one that they belong to says
// so. What rests on such a pair is refused by check; these only look as if they served.
func (s *Settings) idle(all *pflag.FlagSet) (warnings []string) {
	chip := s.ReportSource != Automatic && s.ReportSource != VirtualTPM
	for _, rule := range []struct {
		is     bool
		fields []string
		why    string
	}{
		{chip, []string{"tpm", "event-log", "ak-roots"}, "report_source is " + s.ReportSource},
		{s.OpsListen == "", []string{"ops-doctor"}, "there is no ops_listen"},
		{s.GRPCListen == "", []string{"wrap-keys"}, "there is no grpc_listen"},
	} {
		for _, field := range rule.fields {
			if flag := all.Lookup(field); rule.is && flag.Changed && flag.Value.String() != flag.DefValue {
				warnings = append(warnings, fmt.Sprintf("%s (set by %s) does nothing: %s", FieldName(field), setterOf(flag), rule.why))
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
