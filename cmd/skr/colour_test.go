package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"skr/releasepolicy"
)

func TestColour(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	defer func() { _ = terminal.Close() }()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if marksFor(terminal, environment{"NO_COLOR": ""}) != releasepolicy.ColourMarks {
		t.Error("a terminal has no colour")
	}
	if marksFor(terminal, environment{"NO_COLOR": "1"}) != releasepolicy.PlainMarks || isColourful(terminal, environment{"TERM": "dumb"}) {
		t.Error("colour is not wanted, and there")
	}
	if isColourful(file, environment{}) || isColourful(new(bytes.Buffer), environment{}) {
		t.Error("a file has colour")
	}
}
