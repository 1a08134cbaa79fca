package keyprovider

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"skr/internal/strictjson"
)

const (
	infoSuffix = "-info.json"
	maxVersion = 64       // characters, as in a release
	maxFile    = 64 << 10 // bytes; `skrctl key create` writes below 16 KiB
)

// Keys is a directory of key information from `skrctl key create`: NAME-info.json, and the public key in
// the file that it names. Paths and symbolic links cannot lead out of the directory.
type Keys struct{ root *os.Root }

// OpenKeys opens a directory.
func OpenKeys(dir string) (*Keys, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the directory of keys: %w", err)
	}
	return &Keys{root}, nil
}

// Close closes the directory.
func (k *Keys) Close() error { return k.root.Close() }

// Info is a public key and the location of its private key.
type Info struct {
	name, version, vault, authority string
	public                          *rsa.PublicKey
}

// Find returns the key of that name. The error wraps [fs.ErrNotExist] if there is none.
func (k *Keys) Find(name string) (*Info, error) {
	info, err := k.find(name)
	if err != nil {
		return nil, fmt.Errorf("reading the information of key %q: %w", name, err)
	}
	return info, nil
}

func (k *Keys) find(name string) (*Info, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	text, err := k.readFile(name + infoSuffix)
	if err != nil {
		return nil, err
	}
	members, err := strictjson.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s%s %w", name, infoSuffix, err)
	}
	info := &Info{name: name}
	var file string
	for member, into := range map[string]*string{
		"public_key_path": &file, "kms_endpoint": &info.vault, "attester_endpoint": &info.authority,
	} {
		var ok bool
		if *into, ok = members.Text(member); !ok || *into == "" || len(*into) > maxString {
			return nil, fmt.Errorf("%s%s: member %s is missing, not a string, or too long", name, infoSuffix, member)
		}
	}
	info.version = versionOf(members, name)
	// The path is from the machine where the file was written.
	if text, err = k.readFile(path.Base(strings.ReplaceAll(file, `\`, "/"))); err != nil {
		return nil, err
	}
	info.public, err = parsePublic(text)
	return info, err
}

// versionOf returns the version of the public key: the last part of kid, the identifier
// https://HOST/keys/NAME/VERSION. It is "" if kid is missing or is of another form, as in
// files of the reference's tools.
func versionOf(info strictjson.Object, name string) string {
	kid, _ := info.Text("kid")
	_, path, _ := strings.Cut(kid, "/keys/")
	keyName, version, _ := strings.Cut(path, "/")
	if !strings.HasPrefix(kid, "https://") || !strings.EqualFold(keyName, name) || len(version) > maxVersion || strings.Trim(version, versionBytes) != "" {
		return ""
	}
	return version
}

func (k *Keys) readFile(name string) (text []byte, err error) {
	file, err := k.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s: %w", name, errNotRegular))
	}
	text, err = io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", name, maxFile)
	}
	return text, err
}

var errNotRegular = fmt.Errorf("%w: not a regular file", fs.ErrInvalid)

func parsePublic(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("the public key is not in PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the public key cannot be read")
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok || wrapTypes[fmt.Sprintf("rsa_%d", public.N.BitLen())] == 0 {
		return nil, errors.New("the public key is not RSA with 2048, 3072 or 4096 bits")
	}
	return public, nil
}

// Wrap wraps data for the holder of the private key.
func (i *Info) Wrap(data []byte) (*Annotation, error) {
	if most := i.public.Size() - 2*sha256.Size - 2; len(data) > most { // RFC 8017 section 7.1.1
		return nil, fmt.Errorf("%d bytes are too many; an RSA key of %d bits wraps at most %d", len(data), i.public.N.BitLen(), most)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, i.public, data, nil)
	if err != nil {
		return nil, fmt.Errorf("wrapping the secret: %w", err)
	}
	return &Annotation{Key: i.key(), Vault: i.vault, Authority: i.authority, Wrapped: wrapped, Bits: i.public.N.BitLen()}, nil
}

// key returns the name of the key with its version, so that the annotation can be opened
// when the key has a newer one.
func (i *Info) key() string {
	if i.version == "" {
		return i.name
	}
	return i.name + "/" + i.version
}
