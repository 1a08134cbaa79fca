package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

// keyOptions are the flags of skrctl key create and skrctl key import.
type keyOptions struct {
	keyAccess
	policy             keyPolicy
	kty, curve         string
	size               int
	ops, tags          config.List
	immutable          bool
	notBefore, expires string
	newVersion, dryRun bool
	replace            bool
	directory, output  string
}

func (o *keyOptions) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	o.keyAccess.flags(cmd)
	o.policy.flags(fs)
	fs.BoolVar(&o.immutable, "immutable", false, "freeze the release policy permanently")
	fs.StringVar(&o.kty, "kty", "", "RSA-HSM, EC-HSM or oct-HSM; if empty, RSA-HSM, or the type of the key in the file")
	fs.IntVar(&o.size, "size", 0, "bits; if 0, 3072 for an RSA key and 256 for an oct key, or the size of the key in the file")
	fs.StringVar(&o.curve, "curve", "", "P-256, P-256K, P-384 or P-521; if empty, P-256, or the curve of the key in the file")
	fs.Var(&o.ops, "ops", "operations; if empty, wrapKey,unwrapKey,encrypt,decrypt for an RSA or oct key, and sign,verify for an EC key")
	fs.Var(&o.tags, "tags", "tags of the key, not secret: name=text,name=text")
	fs.StringVar(&o.notBefore, "not-before", "", "RFC 3339 time before which the vault does not encrypt, wrap or sign with the key; it releases it")
	fs.StringVar(&o.expires, "expires", "", "RFC 3339 time from which the vault does not encrypt, wrap or sign with the key; it releases it")
	fs.BoolVar(&o.newVersion, "new-version", false, "create a new version if the key already exists")
	fs.StringVar(&o.directory, "out-dir", ".", "directory for NAME-pub.pem and NAME-info.json")
	fs.BoolVar(&o.replace, "replace", false, "with --new-version, also replace NAME-pub.pem and NAME-info.json if they exist")
	fs.BoolVar(&o.dryRun, "dry-run", false, "print the request and send nothing")
	cli.OutputFlag(cmd, &o.output)
}

// parse parses the flags for tags and times.
func (o *keyOptions) parse(spec *provision.Spec) (err error) {
	if spec.Tags, err = parseTags(o.tags); err != nil {
		return fmt.Errorf("--tags: %w", err)
	}
	if spec.NotBefore, err = parseTime(o.notBefore); err != nil {
		return fmt.Errorf("--not-before: %w", err)
	}
	if spec.Expires, err = parseTime(o.expires); err != nil {
		return fmt.Errorf("--expires: %w", err)
	}
	return nil
}

func parseTags(words config.List) (map[string]string, error) {
	tags := make(map[string]string, len(words))
	for _, word := range words {
		name, text, found := strings.Cut(word, "=")
		if _, twice := tags[name]; !found || name == "" || twice {
			return nil, fmt.Errorf("%q is not name=text, or its name is repeated", word)
		}
		tags[name] = text
	}
	return tags, nil
}

// parseTime rounds down to seconds, which the vault uses.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time such as 2030-01-31T00:00:00Z", text)
	}
	return t.Truncate(time.Second).UTC(), nil
}
