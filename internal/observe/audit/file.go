package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// maxTail is the number of bytes of a file that are checked before it is continued: a hundred records,
// and more than a torn end. The file may be large, and a start should not wait; see [Verify].
const maxTail = 64 << 10

// Open continues the file at path, or creates it with mode 0600, and writes a record of kind opened or
// recovered. It returns an error if the file is not regular, all users may write it, another skr has it
// open, or its end is not intact.
func Open(path, version string) (*Log, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening the audit file %s: %w", path, err)
	}
	l, err := open(file{f}, version)
	if err != nil {
		_ = f.Close() // the first error matters more
		return nil, err
	}
	return l, nil
}

func openFile(path string) (*os.File, error) {
	// Without O_NONBLOCK a named pipe would wait for its other end.
	const flags = os.O_RDWR | os.O_CREATE | os.O_APPEND | noFollow | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0o600) //nolint:gosec // the operator names the file
	switch {
	case errors.Is(err, syscall.ELOOP):
		return nil, errors.New("it is a symbolic link; name the file itself")
	case err != nil:
		return nil, errors.Unwrap(err) // Open adds the path
	}
	if err := claim(f); err != nil {
		_ = f.Close() // the first error matters more
		return nil, err
	}
	return f, nil
}

// claim returns an error unless f is a regular file that only this process writes.
func claim(f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Mode().Perm()&0o002 != 0:
		return errors.New("all users may write it; chmod o-w")
	}
	err = lock(f)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errors.New("another skr has it open; use a file for each")
	}
	return err
}

// file is a sink that survives a torn line.
type file struct{ *os.File }

func (f file) resume() (chain, error) {
	c := newChain()
	tail, whole, err := f.tail()
	if err != nil {
		return c, fmt.Errorf("reading the end of the audit file %s: %w", f.Name(), err)
	}
	if !whole {
		_, tail, _ = bytes.Cut(tail, []byte("\n"))
		c.joined = true
	}
	if err := c.through(tail); err != nil {
		return c, fmt.Errorf("continuing the audit file %s: %w; move the file away, keep it, and check it with skrctl audit verify", f.Name(), err)
	}
	return c, nil
}

// tail reads the end of the file, or the whole file.
func (f file) tail() (tail []byte, whole bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	size := min(info.Size(), maxTail)
	tail = make([]byte, size)
	_, err = f.ReadAt(tail, info.Size()-size)
	return tail, size == info.Size(), err
}

// through follows all lines of the text.
func (c *chain) through(text []byte) error {
	for {
		line, rest, found := bytes.Cut(text, []byte("\n"))
		if !found {
			break
		}
		if _, err := c.follow(line); err != nil {
			return fmt.Errorf("a line near its end %w", err)
		}
		text = rest
	}
	if err := c.end(text); err != nil {
		return fmt.Errorf("its last line %w", err)
	}
	if c.joined {
		return errors.New("its end has no record")
	}
	return nil
}

// write calls write(2) once, unless the disk is full.
func (f file) write(line []byte) error {
	_, err := f.Write(line)
	return err
}

func (f file) close() error { return errors.Join(f.Sync(), f.Close()) }
