package handover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"unsafe"

	"skr/internal/secmem"
	"skr/internal/secretfile"
)

// Config of a Handover.
type Config struct {
	// Items are the secrets.
	Items []Item
	// Keys releases keys.
	Keys Keys
	// Owner of files and memory.
	Owner secretfile.Owner
	// AllowDisk permits files on file systems that are not in memory.
	AllowDisk bool
}

// Handover gives secrets to a program.
type Handover struct {
	config  Config
	written map[string]bool // paths of files; not for concurrent use
}

// New returns an error if the items contradict each other, a directory is not in memory, or an
// envelope cannot be read.
func New(c Config) (*Handover, error) {
	seen := map[string]bool{}
	for _, item := range c.Items {
		name := item.Name
		if item.Kind == File {
			path, err := filepath.Abs(name)
			if err != nil {
				return nil, err
			}
			name = "=" + path // no name of a variable
			if err := c.checkFile(item.Name); err != nil {
				return nil, err
			}
		}
		if seen[name] {
			return nil, fmt.Errorf("%q is named twice", item.Name)
		}
		seen[name] = true
		if item.Envelope != "" {
			if _, err := item.readEnvelope(); err != nil {
				return nil, err
			}
		}
	}
	return &Handover{c, map[string]bool{}}, nil
}

// Delivery has the secrets of one start.
type Delivery struct {
	config  *Config
	written map[string]bool
	secrets [][]byte // one for each item
	entries [][]byte // NAME=secret
	memory  []*os.File
}

// Prepare releases the keys and opens the envelopes. It writes nothing.
func (h *Handover) Prepare(ctx context.Context) (*Delivery, error) {
	d := &Delivery{config: &h.config, written: h.written}
	for _, item := range h.config.Items {
		secret, err := item.secret(ctx, h.config.Keys)
		if err != nil {
			d.Close()
			return nil, fmt.Errorf("%s: %w", item.Name, err)
		}
		d.secrets = append(d.secrets, secret)
	}
	return d, nil
}

// WriteFiles replaces the files.
func (d *Delivery) WriteFiles() error {
	for n, item := range d.config.Items {
		if item.Kind != File {
			continue
		}
		if err := d.config.writeFile(item.Name, d.secrets[n]); err != nil {
			return err
		}
		d.written[item.Name] = true
	}
	return nil
}

// Environment returns the variables with the secrets among them. The strings of secrets are valid
// until Close, which overwrites them.
func (d *Delivery) Environment(base map[string]string) (env []string, err error) {
	all := maps.Clone(base)
	for n, item := range d.config.Items {
		switch item.Kind {
		case File:
			continue
		case Memory:
			memory, err := d.config.memoryOf(item.Name, d.secrets[n])
			if err != nil {
				return nil, err
			}
			d.memory = append(d.memory, memory)
			all[item.Name] = "/proc/self/fd/" + strconv.Itoa(firstDescriptor+len(d.memory)-1)
		case Variable:
			delete(all, item.Name)
			entry := append(append(make([]byte, 0, len(item.Name)+1+len(d.secrets[n])), item.Name+"="...), d.secrets[n]...)
			d.entries = append(d.entries, entry)
			env = append(env, unsafe.String(&entry[0], len(entry))) //nolint:gosec // Close can overwrite it, as no other string
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env, nil
}

// firstDescriptor follows the standard streams.
const firstDescriptor = 3

// Memory returns the files that the program gets as its descriptors 3, 4 and so on. Environment
// makes them, and Close closes them.
func (d *Delivery) Memory() []*os.File { return d.memory }

// Close overwrites the secrets.
func (d *Delivery) Close() {
	secmem.Wipe(d.secrets...)
	secmem.Wipe(d.entries...)
	for _, memory := range d.memory {
		_ = memory.Close() // the program has its own descriptor
	}
	d.secrets, d.entries, d.memory = nil, nil, nil
}

// Remove removes the files that were written. A file of another program, which was there before,
// stays if the key is refused.
func (h *Handover) Remove() error {
	var failed error
	for _, item := range h.config.Items {
		if !h.written[item.Name] {
			continue
		}
		if err := os.Remove(item.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
