package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secretMode and PublicMode are the modes of the files that commands write.
const (
	secretMode os.FileMode = 0o600
	PublicMode os.FileMode = 0o644
)

// PendingFile is a file that replaces Path only when it is complete. If anything fails, the previous
// file stays.
type PendingFile struct {
	file *os.File
	Path string
}

// NewPendingFile creates the file in the directory of path, so that an error shows early. It refuses
// to replace devices and links.
func NewPendingFile(path string, mode os.FileMode) (*PendingFile, error) {
	if err := checkReplaceable(path); err != nil {
		return nil, BadUsage(fmt.Errorf("%s: %w", path, err))
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".skr-*") // mode 0600
	if err != nil {
		return nil, BadUsage(fmt.Errorf("%s: cannot create a file in its directory: %w", path, causeOf(err)))
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
		return fmt.Errorf("is not a regular file (%s)", info.Mode().Type())
	}
	return isMountPoint(path)
}

// causeOf removes the name of the temporary file from an error.
func causeOf(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	return err
}

// Chown changes the owner of the file, before Write. -1 leaves an id as it is.
func (p *PendingFile) Chown(uid, gid int) error {
	if err := p.file.Chown(uid, gid); err != nil {
		return BadUsage(fmt.Errorf("%s: changing its owner: %w", p.Path, causeOf(err)))
	}
	return nil
}

// Write writes and closes the file. Call it once.
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

// Commit moves the file to Path.
func (p *PendingFile) Commit() error {
	err := os.Rename(p.file.Name(), p.Path)
	if of, ok := errors.AsType[*os.LinkError](err); ok {
		return fmt.Errorf("%s: %w", p.Path, of.Err)
	}
	return err
}

// Discard removes a file that was not committed. After Commit it does nothing.
func (p *PendingFile) Discard() {
	_ = p.file.Close()           // it may be closed already
	_ = os.Remove(p.file.Name()) // another error matters more
}
