package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"skr/internal/config"
	"skr/internal/secmem"
)

const maxTokenFile = 64 << 10 // an access token has a few kilobytes

const maxRuntimeData = 192 << 10 // the limit of the HTTP routes, decoded

// ReadInput reads at most limit bytes from a file, or from standard input if path is "-".
func ReadInput(path string, limit int64, in io.Reader) ([]byte, error) {
	if path != "-" {
		return config.ReadBounded(path, limit)
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("standard input is larger than %d bytes", limit)
	}
	return data, err
}

// OneStandardInput returns an error if more than one path is "-".
func OneStandardInput(paths ...string) error {
	used := false
	for _, path := range paths {
		if path == "-" && used {
			return BadUsage(errors.New("only one file can be standard input"))
		}
		used = used || path == "-"
	}
	return nil
}

// ReadToken reads the file of --access-token-file. The token is empty if path is.
func ReadToken(path string, in io.Reader) (secmem.Text, error) {
	return ReadTokenOf("--access-token-file", path, in)
}

// ReadTokenOf is ReadToken for another flag, which its errors name.
func ReadTokenOf(flag, path string, in io.Reader) (secmem.Text, error) {
	var data []byte
	var err error
	switch path {
	case "":
		return secmem.Text{}, nil
	case "-":
		data, err = io.ReadAll(io.LimitReader(in, maxTokenFile+1))
	default:
		data, err = config.ReadBounded(path, maxTokenFile)
	}
	token := strings.TrimSpace(string(data))
	switch {
	case err != nil:
	case token == "":
		err = fmt.Errorf("%q is empty", path)
	case len(data) > maxTokenFile:
		err = fmt.Errorf("%q is larger than %d bytes", path, maxTokenFile)
	}
	if err != nil {
		return secmem.Text{}, BadUsage(fmt.Errorf("%s: %w", flag, err))
	}
	return secmem.NewText(token), nil
}

// ReadRuntimeData reads the file of --runtime-data.
func ReadRuntimeData(path string, in io.Reader) (data []byte, err error) {
	if path == "-" {
		data, err = io.ReadAll(io.LimitReader(in, maxRuntimeData+1))
	} else {
		data, err = config.ReadBounded(path, maxRuntimeData)
	}
	switch {
	case err != nil:
	case len(data) == 0:
		err = fmt.Errorf("%q is empty", path)
	case len(data) > maxRuntimeData:
		err = fmt.Errorf("%q is larger than %d bytes", path, maxRuntimeData)
	}
	if err != nil {
		return nil, BadUsage(fmt.Errorf("--runtime-data: %w", err))
	}
	return data, nil
}
