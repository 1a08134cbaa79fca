// Sbom writes the bill of materials of a program for any system: the same that the program
// itself prints for version --sbom.
//
//	go run ./deploy/release/sbom PROGRAM FILE VERSION
//
// The version is an argument because the toolchain does not record the linker's flags with
// -trimpath.
package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"

	"skr/internal/sbom"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: sbom PROGRAM FILE VERSION")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func write(program, file, version string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	out, err := os.Create(file) //nolint:gosec // The path is an argument.
	if err != nil {
		return err
	}
	return errors.Join(sbom.Write(out, info, version), out.Close())
}
