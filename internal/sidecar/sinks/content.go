package sinks

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"text/template/parse"

	"skr/internal/envelope"
	"skr/internal/keyformat"
	"skr/internal/secmem"
)

// content is what a file is made of.
type content struct {
	format    keyformat.Format
	envelopes []string
	template  string // a path

	lookedAt string // files() when they were read last
}

// newContent reads the files once, so that a wrong one is found at the start. It returns what the
// sink does with which alias, as far as that is known before a template is rendered.
func newContent(s Spec) (c content, needs []named, err error) {
	c = content{format: keyformat.Format(s.Format), envelopes: s.Envelopes, template: s.Template}
	if _, err = c.readEnvelopes(); err != nil {
		return c, nil, err
	}
	switch {
	case c.template != "":
		_, needs, err = c.readTemplate()
		return c, needs, err
	case len(c.envelopes) > 0:
		return c, []named{{s.Aliases[0], Open}}, nil
	}
	return c, []named{{s.Aliases[0], Give}}, nil
}

func (c *content) hasFiles() bool { return c.template != "" || len(c.envelopes) > 0 }

// files returns a text that changes when a file changes.
func (c *content) files() string {
	var all strings.Builder
	for _, path := range append(slices.Clone(c.envelopes), c.template) {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			all.WriteString("missing;")
			continue
		}
		fmt.Fprintf(&all, "%d %d %d;", info.Size(), info.ModTime().UnixNano(), inode(info))
	}
	return all.String()
}

func (c *content) readEnvelopes() (map[string]*envelope.Envelope, error) {
	read := make(map[string]*envelope.Envelope, len(c.envelopes))
	for _, path := range c.envelopes {
		text, err := readFile(path, envelope.MaxText)
		if err != nil {
			return nil, fmt.Errorf("envelope: %w", err)
		}
		if read[path], err = envelope.Parse(text); err != nil {
			return nil, fmt.Errorf("envelope: %s: %w", path, err)
		}
	}
	return read, nil
}

func (c *content) readTemplate() (*parse.ListNode, []named, error) {
	text, err := readFile(c.template, maxTemplate)
	if err != nil {
		return nil, nil, fmt.Errorf("template: %w", err)
	}
	parsed, needs, err := parseTemplate(string(text))
	if err != nil {
		return nil, nil, fmt.Errorf("template: %s: %w", c.template, err)
	}
	return parsed, needs, nil
}

// readFile reads a whole file of at most limit bytes. It does not wait for a pipe.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("%s cannot be opened (%w)", path, reason(err))
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read (%w)", path, reason(err))
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return text, nil
}

// inputs returns the inputs of a rendering, also with an error, for the caller to wipe.
func (c *content) inputs(ctx context.Context, s Spec, keys Keys, may func(string, Right) error) (in *inputs, err error) {
	in = newInputs(ctx, keys, may)
	for _, alias := range s.Aliases {
		if err := in.add(alias); err != nil {
			return in, &unreleasedError{err}
		}
	}
	c.lookedAt = c.files()
	in.fingerprint += c.lookedAt
	if in.envelopes, err = c.readEnvelopes(); err != nil {
		return in, err
	}
	if c.template != "" {
		in.template, _, err = c.readTemplate()
	}
	return in, err
}

// render returns the content of the file, for the caller to wipe.
func (c *content) render(s Spec, in *inputs) ([]byte, error) {
	switch {
	case in.template != nil:
		return in.execute()
	case len(c.envelopes) > 0:
		return in.open(s.Aliases[0], c.envelopes[0])
	}
	return in.encode(s.Aliases[0], c.format)
}

func wipe(text []byte) { secmem.Wipe(text) }
