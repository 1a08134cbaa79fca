package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"skr/internal/cli"
	"skr/internal/operator/provision"
)

const (
	publicSuffix = "-pub.pem"
	infoSuffix   = "-info.json"
)

// keyFiles are the files that describe a new version of a key: a pair with the key's name, and for a
// later version a pair that also has the version in its names.
type keyFiles struct {
	name, directory string
	stable, own     *keyPair // own is nil for the first version of a key
	replace         bool
}

// keyPair are two files that appear together.
type keyPair struct{ public, info *cli.PendingFile }

// newKeyFiles creates the files before the key, so that an error shows early. For a
// later version, the pair NAME-pub.pem and NAME-info.json is written only if it does not exist
// or replace is set.
func newKeyFiles(directory, name string, later, replace bool) (*keyFiles, error) {
	f := &keyFiles{name: name, directory: directory, replace: replace}
	var err error
	if f.stable, err = newKeyPair(f.path("")); err != nil {
		return nil, err
	}
	if later {
		if f.own, err = newKeyPair(f.path(".new")); err != nil {
			f.discard()
			return nil, err
		}
	}
	return f, nil
}

func newKeyPair(path string) (*keyPair, error) {
	info, err := cli.NewPendingFile(path+infoSuffix, cli.PublicMode)
	if err != nil {
		return nil, err
	}
	public, err := cli.NewPendingFile(path+publicSuffix, cli.PublicMode)
	if err != nil {
		info.Discard()
		return nil, err
	}
	return &keyPair{public, info}, nil
}

// path returns the common part of a pair's paths.
func (f *keyFiles) path(version string) string { return filepath.Join(f.directory, f.name+version) }

func (f *keyFiles) discard() {
	for _, pair := range []*keyPair{f.stable, f.own} {
		if pair != nil {
			pair.info.Discard()
			pair.public.Discard()
		}
	}
}

// finish writes the files and prints what it made. size is the size of a symmetric key, which the
// vault does not return.
func (f *keyFiles) finish(key *provision.Key, size int, output string, out io.Writer) error {
	info := describeKey(key)
	if info.Size == 0 {
		info.Size = size
	}
	info.KMSEndpoint, info.AttesterEndpoint = key.ID.Host().String(), firstHost(info.Authorities)
	said, err := f.write(key, &info)
	if err != nil {
		return fmt.Errorf("the key %q was created, but its files were not written; use skrctl key public and skrctl key show: %w", key.ID, err)
	}
	if output == "json" {
		return json.NewEncoder(out).Encode(info)
	}
	_, err = fmt.Fprintf(out, "made %s\n%s", key.ID, said)
	return err
}

// write writes each pair that it does not have to keep, and says what it did.
func (f *keyFiles) write(key *provision.Key, info *keyInfo) (said string, err error) {
	existing := f.existing()
	keep := f.own != nil && !f.replace && len(existing) > 0
	var written []string
	if !keep {
		if written, err = f.stable.write(key, info); err != nil {
			return "", err
		}
	}
	if f.own != nil {
		path := f.path("." + key.ID.Version())
		f.own.public.Path, f.own.info.Path = path+publicSuffix, path+infoSuffix
		own, err := f.own.write(key, info)
		if err != nil {
			return "", err
		}
		written = append(written, own...)
	}
	said = "wrote " + strings.Join(written, ", ") + "\n"
	switch {
	case keep:
		said += "kept " + strings.Join(existing, ", ") + " of an older version; --replace replaces them\n"
	case len(existing) > 0:
		said += "replaced " + strings.Join(existing, ", ") + "; skrctl key public prints the public key of an older version\n"
	}
	return said, nil
}

// existing returns the files that the stable pair would replace.
func (f *keyFiles) existing() (paths []string) {
	for _, file := range []*cli.PendingFile{f.stable.public, f.stable.info} {
		if _, err := os.Lstat(file.Path); err == nil {
			paths = append(paths, file.Path)
		}
	}
	return paths
}

// write writes both files or none. A symmetric key has no public file.
func (p *keyPair) write(key *provision.Key, info *keyInfo) (written []string, err error) {
	files := []*cli.PendingFile{p.info}
	if key.Public.Type() != "oct" {
		text, err := key.PEM()
		if err != nil {
			return nil, err
		}
		if err := p.public.Write(text); err != nil {
			return nil, err
		}
		info.PublicKeyPath = p.public.Path
		files = []*cli.PendingFile{p.public, p.info}
	}
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := p.info.Write(append(text, '\n')); err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := file.Commit(); err != nil {
			return nil, err
		}
		written = append(written, file.Path)
	}
	return written, nil
}

// firstHost returns the host of the first authority, in the form of the reference's tools.
func firstHost(authorities []string) string {
	if len(authorities) == 0 {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(authorities[0], "https://"), "/")
}
