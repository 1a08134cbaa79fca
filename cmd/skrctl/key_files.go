package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"skr/internal/cli"
	"skr/internal/operator/provision"
)

// keyFiles are the files that describe a new key.
type keyFiles struct {
	public, info *cli.PendingFile
	directory    string
}

// files creates the files before the key, so that an error shows early.
func (w newKey) files(name string) (*keyFiles, error) {
	f := &keyFiles{directory: w.options.directory}
	var err error
	if f.info, err = cli.NewPendingFile(filepath.Join(f.directory, name+"-info.json"), cli.PublicMode); err != nil {
		return nil, err
	}
	if f.public, err = cli.NewPendingFile(filepath.Join(f.directory, name+"-pub.pem"), cli.PublicMode); err != nil {
		f.info.Discard()
		return nil, err
	}
	return f, nil
}

func (f *keyFiles) discard() {
	f.info.Discard()
	f.public.Discard()
}

// finish writes both files and prints what it made.
func (f *keyFiles) finish(key *provision.Key, request *provision.Request, output string, out io.Writer) error {
	info := describeKey(key)
	if info.Size == 0 {
		info.Size = request.Size()
	}
	info.KMSEndpoint, info.AttesterEndpoint = key.ID.Host().String(), firstHost(info.Authorities)
	written, err := f.write(key, &info)
	if err != nil {
		return fmt.Errorf("the key %q was created, but its files were not written; use skrctl key public and skrctl key show: %w", key.ID, err)
	}
	if output == "json" {
		return json.NewEncoder(out).Encode(info)
	}
	_, err = fmt.Fprintf(out, "made %s\nwrote %s\n", key.ID, strings.Join(written, ", "))
	return err
}

// write writes both files or none. A symmetric key has no public file.
func (f *keyFiles) write(key *provision.Key, info *keyInfo) (written []string, err error) {
	files := []*cli.PendingFile{f.info}
	if key.Public.Type() != "oct" {
		text, err := key.PEM()
		if err != nil {
			return nil, err
		}
		if err := f.public.Write(text); err != nil {
			return nil, err
		}
		info.PublicKeyPath = f.public.Path
		files = []*cli.PendingFile{f.public, f.info}
	}
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := f.info.Write(append(text, '\n')); err != nil {
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
