package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"skr/internal/cli"
	"skr/internal/operator/inspect"
)

// maxParts limits the files of a directory. Evidence has about six.
const maxParts = 64

var (
	errEmpty   = errors.New("the file is empty")
	errNotFile = errors.New("not a regular file")
)

// readParts reads files, or those of a directory, and joins them into one artefact. An
// empty file is the event log of a machine that has none.
func readParts(paths []string, in io.Reader) (inspect.Artefact, error) {
	if err := cli.OneStandardInput(paths...); err != nil {
		return inspect.Artefact{}, err
	}
	var parts []inspect.File
	for _, path := range paths {
		more, err := readPath(path, in)
		if err != nil {
			return inspect.Artefact{}, err
		}
		parts = append(parts, more...)
	}
	if len(parts) == 1 && parts[0].Err == nil {
		return parts[0].Found, nil
	}
	return inspect.Join(parts), nil
}

func readPath(path string, in io.Reader) ([]inspect.File, error) {
	if err := refuseToken(path); err != nil {
		return nil, err
	}
	if isDirectory(path) {
		return readDirectory(path)
	}
	file, err := readPart(path, in)
	if err == nil && file.Err != nil && !errors.Is(file.Err, errEmpty) {
		err = cli.BadUsage(fmt.Errorf("%s: %w", path, file.Err))
	}
	return []inspect.File{file}, err
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readDirectory keeps the files that are not evidence, such as a nonce, with their errors.
func readDirectory(path string) ([]inspect.File, error) {
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) > maxParts {
		err = fmt.Errorf("%s: the directory has more than %d files", path, maxParts)
	}
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	var files []inspect.File
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			files = append(files, inspect.File{Name: entry.Name(), Err: errNotFile})
			continue
		}
		file, err := readPart(name, nil)
		if err != nil {
			return nil, err
		}
		file.Name = entry.Name()
		files = append(files, file)
	}
	if !slices.ContainsFunc(files, func(f inspect.File) bool { return !errors.Is(f.Err, errNotFile) }) {
		return nil, cli.BadUsage(fmt.Errorf("%s: the directory has no files", path))
	}
	return files, nil
}

// readPart reads a file. If the content is not recognised, File.Err is set.
func readPart(path string, in io.Reader) (inspect.File, error) {
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
