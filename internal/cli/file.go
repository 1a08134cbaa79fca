package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Modes of the files that commands write.
const (
	secretMode os.FileMode = 0o600
	PublicMode os.FileMode = 0o644
)

// PendingFile takes its name only when it is whole: what was there before stays
// until then, and for ever if anything fails.
type PendingFile struct {
	file *os.File
	Path string
}

// NewPendingFile shows early that the file can be written. It replaces regular files
// alone: a device or a link that is replaced is gone.
func NewPendingFile(path string, mode os.FileMode) (*PendingFile, error) {
	if err := checkReplaceable(path); err != nil {
		return nil, BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".skr-*") // mode 0600
	if err != nil {
		return nil, BadUsage(fmt.Errorf("%s: in its directory no file can be made: %w", path, causeOf(err)))
	}
	p := &PendingFile{file, path}
	if err := file.Chmod(mode); err != nil {
		p.Discard()
		return nil, fmt.Errorf("%s: %w", path, causeOf(err))
	}
	return p, nil
}

func checkReplaceable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case strings.HasSuffix(path, "/") || err == nil && info.IsDir():
		return errors.New("is a directory")
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return causeOf(err)
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("is a symbolic link; name the file itself")
	case !info.Mode().IsRegular():
		return fmt.Errorf("is no regular file (%s)", info.Mode().Type())
	}
	return isMountPoint(path)
}

// causeOf leaves out the name of a temporary file, which nobody gave.
func causeOf(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	return err
}

func (p *PendingFile) Write(data []byte) error {
	_, err := p.file.Write(data)
	if err == nil {
		err = p.file.Sync()
	}
	if closeErr := p.file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.Path, causeOf(err))
	}
	return nil
}

func (p *PendingFile) Commit() error {
	err := os.Rename(p.file.Name(), p.Path)
	if of, ok := errors.AsType[*os.LinkError](err); ok {
		return fmt.Errorf("%s: %w", p.Path, of.Err)
	}
	return err
}

// Discard is for a file that was not committed; of one that was it removes nothing.
func (p *PendingFile) Discard() {
	_ = p.file.Close()           // it may be closed already
	_ = os.Remove(p.file.Name()) // another error matters more
}
