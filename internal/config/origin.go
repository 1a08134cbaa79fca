package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// setBy is the annotation of a flag with the name that set it: a variable, a flag, or the field in the
// file.
const setBy = "set by"

// origins maps fields to the names that set them.
type origins map[string]string

func originsOf(all *pflag.FlagSet) origins {
	o := make(origins)
	all.VisitAll(func(flag *pflag.Flag) {
		if name := flag.Annotations[setBy]; len(name) > 0 {
			o[FieldName(flag.Name)] = name[0]
		}
	})
	return o
}

// Explain adds to an error that begins with a field the name that set the field, unless it is the
// field's own flag. The reader searches for that name in a manifest.
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
