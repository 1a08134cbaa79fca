package sinks

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"skr/internal/keyformat"
	"skr/internal/secretfile"
)

// Spec is an entry of the configuration.
type Spec struct {
	// Path of the file, absolute.
	Path string
	// Aliases whose keys are used: one, or for a template the only ones that it may name.
	Aliases []string
	// Format of the key; "" with an envelope or a template.
	Format string
	// Envelopes are files with sealed secrets: one, or for a template those that it may name.
	Envelopes []string
	// Template is a file that is rendered.
	Template string
	// Mode in octal digits; "" means 0400, and 0440 if Owner has a group.
	Mode string
	// Owner is "uid" or "uid:gid"; "" means those of skr.
	Owner string
	// AllowDisk permits a file system that is not in memory.
	AllowDisk bool
	// Remove removes the file when skr stops.
	Remove bool
	// Exec is a program, by its absolute path, and its arguments.
	Exec []string
	// Signal is sent to the process in PIDFile.
	Signal, PIDFile string
}

// check returns an error if the members do not fit each other.
func (s Spec) check() error {
	switch {
	case !filepath.IsAbs(s.Path) || filepath.Clean(s.Path) != s.Path || s.Path == "/":
		return errors.New("path: must be the absolute path of a file, without .., . or //")
	case len(s.Aliases) == 0:
		return errors.New("alias: name the key")
	case hasTwins(s.Aliases) || hasTwins(s.Envelopes):
		return errors.New("alias, envelope: an entry is listed twice")
	}
	if err := s.checkSource(); err != nil {
		return err
	}
	if s.Format != "" {
		if _, err := keyformat.Parse(s.Format); err != nil {
			return fmt.Errorf("format: %w", err)
		}
	}
	for _, file := range slices.Concat(s.Envelopes, []string{s.Template, s.PIDFile}) {
		if file != "" && !filepath.IsAbs(file) {
			return fmt.Errorf("%q is not an absolute path", file)
		}
	}
	return s.checkNotice()
}

// checkSource checks that there is one source of the content: a key, an envelope or a template.
func (s Spec) checkSource() error {
	switch {
	case s.Template != "" && s.Format != "":
		return errors.New("format: is not for a template, which names the format of each key")
	case s.Template != "":
		return nil
	case len(s.Aliases) > 1:
		return errors.New("alias: a list is for a template")
	case len(s.Envelopes) > 1:
		return errors.New("envelope: a list is for a template")
	case len(s.Envelopes) == 1 && s.Format != "":
		return errors.New("format: is not for the secret in an envelope, which is written as it is")
	case len(s.Envelopes) == 0 && s.Format == "":
		return fmt.Errorf("format: is missing; use one of %s, or name an envelope or a template", keyformat.Names())
	}
	return nil
}

func hasTwins(names []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(names)))) < len(names)
}

// access is the mode and owner of a file.
type access struct {
	mode  fs.FileMode
	owner secretfile.Owner
}

// parseAccess returns an error for modes that let others write or run a file.
func (s Spec) parseAccess() (access, error) {
	owner, err := secretfile.ParseOwner(s.Owner)
	if err != nil {
		return access{}, fmt.Errorf("owner: %w", err)
	}
	a := access{mode: 0o400, owner: owner}
	if owner.GID >= 0 {
		a.mode = 0o440
	}
	if s.Mode == "" {
		return a, nil
	}
	mode, err := strconv.ParseUint(s.Mode, 8, 16)
	const possible = 0o644
	if err != nil || mode&^possible != 0 || mode&0o400 == 0 {
		return a, errors.New(`mode: write octal digits in quotes, such as "0440"; all may read a file if the mode says so, and only its owner write it`)
	}
	a.mode = fs.FileMode(mode)
	return a, nil
}
