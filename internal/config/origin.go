package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// setBy is the annotation of a flag that says by which name it was set: a
// variable's, a flag's, or in the file the field's own.
const setBy = "set by"

// origins are the names by which fields were set, by field.
type origins map[string]string

func originsOf(all *pflag.FlagSet) origins {
	found := make(origins)
	all.VisitAll(func(flag *pflag.Flag) {
		if name := flag.Annotations[setBy]; len(name) > 0 {
			found[FieldName(flag.Name)] = name[0]
		}
	})
	return found
}

// Explain adds to an error that begins with a field what set the field, unless that
// is the field's own flag: whoever reads it looks for the name in a manifest.
func (o origins) Explain(err error) error {
	wrong, ok := errors.AsType[*SettingError](err)
	if !ok {
		return err
	}
	field, _, _ := strings.Cut(wrong.cause.Error(), ":")
	field, _, _ = strings.Cut(field, " ")
	name := o[field]
	if name == "" || name == field || name == "--"+strings.ReplaceAll(field, "_", "-") {
		return err
	}
	return WrongSetting(fmt.Errorf("%w (%s is set by %s)", wrong.cause, field, name))
}
