package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// maxTail is how much of a file is read before it is continued: a hundred
// records, and more than a torn end can have. All of it is not, because the file
// may be large and a start should not wait; that is what [Verify] is for.
const maxTail = 64 << 10

// Open continues the file at path, or makes it with mode 0600, and writes a first
// record that says so. The file must be a regular one that is not writable by
// all users, and no other skr may have it open. Its end must be intact: nothing is
// added to a file that was changed.
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
		return nil, errors.Unwrap(err) // our caller names the path
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
		return errors.New("another skr writes it; give each its own file")
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
		return c, fmt.Errorf("continuing the audit file %s: %w; move the file away, keep it, and look at it with skrctl audit verify", f.Name(), err)
	}
	return c, nil
}

// tail reads the end of the file, or all of it.
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

// through follows all lines of a text.
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
		return errors.New("its end holds no record")
	}
	return nil
}

// write is one write(2), unless the disk is full.
func (f file) write(line []byte) error {
	_, err := f.Write(line)
	return err
}

func (f file) close() error { return errors.Join(f.Sync(), f.Close()) }
