package access

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"skr/internal/refusal"
	"skr/internal/secmem"
)

const (
	minToken = 16      // bytes: 96 random bits in base64, too many to guess over a socket
	maxToken = 4 << 10 // bytes: a header of 16 KiB holds it with room for others

	// maxTokenFile leaves room for white space around the token.
	maxTokenFile = maxToken + 1<<10
)

// bearer is the syntax of RFC 6750 section 2.1, b64token.
var bearer = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// hashToken returns the hash of the token in an Authorization header; nil without one.
func hashToken(authorization string) (*[sha256.Size]byte, error) {
	if authorization == "" {
		return nil, nil //nolint:nilnil // no header, no token
	}
	token, ok := parseBearer(authorization)
	if !ok {
		return nil, refusal.Newf(refusal.CallerNotAllowed, `the Authorization header must be "Bearer" and a token`)
	}
	given := []byte(token)
	defer secmem.Wipe(given)
	hash := sha256.Sum256(given)
	return &hash, nil
}

// parseBearer reads "Bearer TOKEN", RFC 6750 section 2.1. The scheme's case
// does not matter, RFC 9110 section 11.1.
func parseBearer(authorization string) (token string, ok bool) {
	scheme, rest, ok := strings.Cut(authorization, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	token = strings.TrimLeft(rest, " ")
	return token, len(token) <= maxToken && bearer.MatchString(token)
}

// tokenFile is the hash of the token in a file, read again when the file has
// changed: Kubernetes renews a secret by swapping a symbolic link.
type tokenFile struct {
	path string

	mu    sync.Mutex
	stamp stamp // of the file that hash and err come from; zero before the first
	hash  [sha256.Size]byte
	err   error // why there is no hash
}

// stamp tells one state of a file from another.
type stamp struct {
	dev, inode       uint64
	size             int64
	changed, written syscall.Timespec
}

// matches compares in constant time. A nil token matches no file.
func (f *tokenFile) matches(token *[sha256.Size]byte) (bool, error) {
	if token == nil {
		return false, nil
	}
	hash, err := f.current()
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(token[:], hash[:]) == 1, nil
}

// current is the hash of what the file holds now.
func (f *tokenFile) current() ([sha256.Size]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		f.stamp = stamp{}
		return [sha256.Size]byte{}, err
	}
	if f.stamp != stampOf(info) {
		f.stamp, f.hash, f.err = readToken(f.path)
	}
	return f.hash, f.err
}

func stampOf(info os.FileInfo) stamp {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}
	}
	return stamp{dev: s.Dev, inode: s.Ino, size: s.Size, changed: s.Ctim, written: s.Mtim}
}

// readToken hashes the token, and stamps the file that it has open: another may
// have taken its name by now. O_NONBLOCK keeps a FIFO from blocking open.
func readToken(path string) (stamp, [sha256.Size]byte, error) {
	var hash [sha256.Size]byte
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the path is from our configuration
	if err != nil {
		return stamp{}, hash, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	info, err := file.Stat()
	if err != nil {
		return stamp{}, hash, err
	}
	if !info.Mode().IsRegular() {
		return stamp{}, hash, fmt.Errorf("%q is no regular file", path)
	}
	content := make([]byte, 0, maxTokenFile+1)
	content, err = readAll(file, content)
	defer secmem.Wipe(content)
	if err != nil {
		return stamp{}, hash, err
	}
	token, err := checkToken(content)
	if err != nil {
		return stampOf(info), hash, fmt.Errorf("%q: %w", path, err)
	}
	return stampOf(info), sha256.Sum256(token), nil
}

// readAll fills buffer to its capacity at most, and never grows it: a copy left
// behind would not be wiped.
func readAll(r io.Reader, buffer []byte) ([]byte, error) {
	n, err := io.ReadFull(r, buffer[:cap(buffer)])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return buffer[:n], err
}

// checkToken says nothing about the content but its size and form.
func checkToken(content []byte) ([]byte, error) {
	token := bytes.TrimSpace(content)
	if len(content) > maxTokenFile || len(token) < minToken || len(token) > maxToken {
		return nil, fmt.Errorf("the token must have %d to %d bytes", minToken, maxToken)
	}
	if !bearer.Match(token) {
		return nil, errors.New("the token has a character that RFC 6750 does not allow")
	}
	return token, nil
}
