package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/inspect"
)

// maxEvidenceFiles bounds a directory; evidence has about six.
const maxEvidenceFiles = 64

func vtpmCommand(env config.Environment, io cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vtpm",
		Short: "Show or verify the measured boot of an Azure VM with a virtual TPM",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(vtpmShowCommand(io), vtpmVerifyCommand(env, io))
	return cmd
}

func vtpmShowCommand(io cli.Streams) *cobra.Command {
	var view viewOptions
	cmd := &cobra.Command{
		Use:   "show {FILE... | DIR}",
		Short: "Print PCRs, secure boot, event log, HCL claims and certificates",
		Long: "Takes HCL reports, quotes, values of PCRs, event logs, certificates of attestation keys, and JSON that holds\n" +
			"them, and prints each with its meaning. Nothing is verified. A FILE may be -, standard input. In a pod,\n" +
			"`skr attest combined` prints what to show.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			if len(args) == 0 {
				return needsFile(cmd, "skr attest combined")
			}
			found, err := readBootEvidence(args, io.In)
			if err != nil {
				return err
			}
			return view.show(found, io.Out)
		},
	}
	view.bind(cmd)
	return cmd
}

// readBootEvidence makes one artefact of files that belong together. An empty file
// is the event log of a machine that has none, and is passed over.
func readBootEvidence(args []string, in io.Reader) (inspect.Artefact, error) {
	if err := cli.OneStandardInput(args...); err != nil {
		return inspect.Artefact{}, err
	}
	var files []inspect.File
	for _, path := range args {
		read, err := readBootPath(path, in)
		if err != nil {
			return inspect.Artefact{}, err
		}
		files = append(files, read...)
	}
	if len(files) == 1 && files[0].Err == nil {
		return files[0].Found, nil
	}
	return inspect.Join(files), nil
}

func readBootPath(path string, in io.Reader) ([]inspect.File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return readBootDirectory(path)
	}
	file, err := readBootFile(path, in)
	if err == nil && file.Err != nil && !errors.Is(file.Err, errEmpty) {
		err = cli.BadUsage(fmt.Errorf("%s: %w", path, file.Err))
	}
	return []inspect.File{file}, err
}

// readBootDirectory passes over what is no evidence, such as a nonce.
func readBootDirectory(path string) ([]inspect.File, error) {
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) > maxEvidenceFiles {
		err = fmt.Errorf("%s: there are more than %d files", path, maxEvidenceFiles)
	}
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	var files []inspect.File
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			files = append(files, inspect.File{Name: entry.Name(), Err: errNoFile})
			continue
		}
		file, err := readBootFile(name, nil)
		if err != nil {
			return nil, err
		}
		file.Name = entry.Name()
		files = append(files, file)
	}
	if !slices.ContainsFunc(files, func(f inspect.File) bool { return !errors.Is(f.Err, errNoFile) }) {
		return nil, cli.BadUsage(fmt.Errorf("%s: there is no file", path))
	}
	return files, nil
}

var (
	errEmpty  = errors.New("it is empty")
	errNoFile = errors.New("it is no file")
)

// readBootFile also says of a file that it could not be recognised.
func readBootFile(path string, in io.Reader) (inspect.File, error) {
	data, err := cli.ReadInput(path, inspect.MaxBytes, in)
	if err != nil {
		return inspect.File{}, cli.BadUsage(err)
	}
	file := inspect.File{Name: filepath.Base(path), Err: errEmpty, Empty: len(data) == 0}
	if len(data) > 0 {
		file.Found, file.Err = inspect.Recognise(data)
	}
	return file, nil
}
