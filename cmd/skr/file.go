package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// Modes of the files that commands write.
const (
	secretMode os.FileMode = 0o600
	publicMode os.FileMode = 0o644
)

// pendingFile takes its name only when it is whole: what was there before stays
// until then, and for ever if anything fails.
type pendingFile struct {
	file *os.File
	path string
}

// newPendingFile shows early that the file can be written.
func newPendingFile(path string, mode os.FileMode) (*pendingFile, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, &configError{fmt.Errorf("%s: is a directory", path)}
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".skr-*") // mode 0600
	if err != nil {
		return nil, &configError{err}
	}
	p := &pendingFile{file, path}
	if err := file.Chmod(mode); err != nil {
		p.discard()
		return nil, err
	}
	return p, nil
}

func (p *pendingFile) write(data []byte) error {
	_, err := p.file.Write(data)
	if err == nil {
		err = p.file.Sync()
	}
	if closeErr := p.file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (p *pendingFile) commit() error { return os.Rename(p.file.Name(), p.path) }

// discard is for a file that was not committed; of one that was it removes nothing.
func (p *pendingFile) discard() {
	_ = p.file.Close()           // it may be closed already
	_ = os.Remove(p.file.Name()) // another error matters more
}

// writeSecret replaces path at once, or leaves it as it was. The mode is 0600.
func writeSecret(path string, data []byte) error { return writeFile(path, data, secretMode) }

func writeFile(path string, data []byte, mode os.FileMode) error {
	file, err := newPendingFile(path, mode)
	if err != nil {
		return err
	}
	defer file.discard()
	if err := file.write(data); err != nil {
		return err
	}
	return file.commit()
}
