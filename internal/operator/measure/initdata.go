package measure

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// initdataAnnotations hold the initdata of a Kata pod: TOML in gzip in base64. With
// confidential-containers/cloud-api-adaptor (the second name) gzip may be missing.
var initdataAnnotations = []string{"io.katacontainers.config.hypervisor.cc_init_data", "io.katacontainers.config.runtime.cc_init_data"}

// tomlText is a line of TOML that sets a name to a text without escapes (TOML 1.0.0, sections
// "Keys" and "String").
var tomlText = regexp.MustCompile(`^\s*"?([A-Za-z0-9_-]+)"?\s*=\s*(?:"([^"\\]*)"|'([^']*)')\s*(?:#.*)?$`)

func isGzip(data []byte) bool { return bytes.HasPrefix(data, []byte("\x1f\x8b")) }

// isInitdata reports whether a text names the version and the digest algorithm of initdata.
func isInitdata(text []byte) bool {
	members, err := tomlHead(text)
	return err == nil && members["algorithm"] != "" && members["version"] != ""
}

// tomlHead reads the members before the first table.
func tomlHead(text []byte) (map[string]string, error) {
	members := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			break
		}
		if line == "" || line[0] == '#' {
			continue
		}
		match := tomlText.FindStringSubmatch(line)
		if match == nil {
			return nil, errors.New("it is not initdata: a line before its first table is not NAME = \"TEXT\"")
		}
		if _, twice := members[match[1]]; twice {
			return nil, fmt.Errorf("it names %q twice", match[1])
		}
		members[match[1]] = match[2] + match[3]
	}
	return members, nil
}

// readInitdata measures initdata, which may be compressed. HOST_DATA is the digest of the TOML
// by the algorithm that it names. HOST_DATA has 32 bytes. UNCONFIRMED: of a longer digest it
// holds the first 32 bytes.
func readInitdata(data []byte, source string) (Policy, error) {
	text, err := uncompressed(data)
	if err != nil {
		return Policy{}, err
	}
	members, err := tomlHead(text)
	if err != nil {
		return Policy{}, err
	}
	p := Policy{source: source}
	switch algorithm := members["algorithm"]; algorithm {
	case "sha256", "sha-256":
		p.digest = sha256.Sum256(text)
	case "sha384", "sha-384":
		sum := sha512.Sum384(text)
		p.digest = [sha256.Size]byte(sum[:])
	case "sha512", "sha-512":
		sum := sha512.Sum512(text)
		p.digest = [sha256.Size]byte(sum[:])
	default:
		return Policy{}, fmt.Errorf("its algorithm %q is none of sha256, sha384, sha512", shorten(algorithm))
	}
	if !strings.HasSuffix(members["algorithm"], "256") {
		p.warn("HOST_DATA is shorter than a digest by " + members["algorithm"] + ": this is its beginning; compare it with a report, or use sha256")
	}
	if match := innerPolicy.FindSubmatch(text); match != nil {
		p.inspectRego(bytes.Join(match[1:], nil))
	}
	return p, nil
}

// innerPolicy is the member policy.rego of the table data, a text of several lines.
var innerPolicy = regexp.MustCompile(`(?s)["']policy\.rego["']\s*=\s*(?:'''(.*?)'''|"""(.*?)""")`)

func uncompressed(data []byte) ([]byte, error) {
	if isGzip(data) {
		reader, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, errors.New("it looks like gzip and is malformed")
		}
		data, err = io.ReadAll(io.LimitReader(reader, maxFile+1))
		if err != nil || len(data) > maxFile {
			return nil, fmt.Errorf("it is not gzip of at most %d bytes", maxFile)
		}
	}
	if !utf8.Valid(data) {
		return nil, errors.New("it is not TOML: it is not UTF-8 text")
	}
	return data, nil
}
