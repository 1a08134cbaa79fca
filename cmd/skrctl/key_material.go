package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"skr/hsm"
	"skr/internal/secmem"
)

const (
	maxKeyFile = 64 << 10 // an RSA key of 8192 bits in PEM has 7 KiB
	maxRawKey  = 40       // every JWK is longer, and no AES key is
)

// readMaterial reads a private key and wipes the buffer.
func readMaterial(path, kty string) (*hsm.Key, error) {
	buffer := make([]byte, maxKeyFile+1) // it must not grow, which would leave a copy
	defer secmem.Wipe(buffer)
	n, err := readInto(buffer, path)
	if err != nil {
		return nil, err
	}
	if kty == "oct-HSM" && n <= maxRawKey {
		return hsm.ReadSecret(buffer[:n])
	}
	return hsm.ReadKey(buffer[:n])
}

func readInto(buffer []byte, path string) (int, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // read only: closing cannot lose anything
	n, err := io.ReadFull(file, buffer)
	switch {
	case err == nil:
		return 0, fmt.Errorf("is larger than %d bytes", len(buffer)-1)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return n, nil
	}
	return 0, err
}
