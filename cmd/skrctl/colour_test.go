package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/releasepolicy"
)

func TestColour(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("this system has no terminals: %v", err)
	}
	defer func() { _ = terminal.Close() }()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if marksFor(terminal, config.Environment{"NO_COLOR": ""}) != releasepolicy.ColourMarks {
		t.Error("a terminal has no colour")
	}
	if marksFor(terminal, config.Environment{"NO_COLOR": "1"}) != releasepolicy.PlainMarks || cli.IsColourful(terminal, config.Environment{"TERM": "dumb"}) {
		t.Error("the output has colour although it is disabled")
	}
	if cli.IsColourful(file, config.Environment{}) || cli.IsColourful(new(bytes.Buffer), config.Environment{}) {
		t.Error("a file has colour")
	}
}
