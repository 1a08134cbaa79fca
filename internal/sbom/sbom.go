// Package sbom writes the bill of materials of a Go program in CycloneDX: the modules with the versions
// and hashes that the toolchain recorded in the program.
//
//	info, _ := debug.ReadBuildInfo()
//	err := sbom.Write(os.Stdout, info, "v1.2.0")
//
// It contains no time and no serial number, so the same program has the same bill. It does not contain
// the dependencies between modules, which the toolchain does not record.
package sbom

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
)

// bom is the part of CycloneDX 1.6 that is used (ECMA-424, first edition).
type bom struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Write writes the bill of the program that info describes, with the given version. It returns an error of
// w, or an error if a hash is malformed.
func Write(w io.Writer, info *debug.BuildInfo, version string) error {
	program := newComponent("application", info.Main.Path, version)
	for _, setting := range info.Settings {
		program.Properties = append(program.Properties, property{"go:" + setting.Key, setting.Value})
	}
	components := []component{newComponent("library", "stdlib", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, module := range info.Deps {
		library, err := ofModule(module)
		if err != nil {
			return err
		}
		components = append(components, library)
	}
	text := json.NewEncoder(w)
	text.SetIndent("", "  ")
	return text.Encode(bom{"CycloneDX", "1.6", 1, metadata{program}, components})
}

// ofModule describes the linked module, which may be a replacement.
func ofModule(module *debug.Module) (component, error) {
	if replacement := module.Replace; replacement != nil && replacement.Version != "" {
		module = replacement
	}
	library := newComponent("library", module.Path, module.Version)
	if module.Sum == "" { // a directory replaces the module
		return library, nil
	}
	sum, err := sha256Of(module.Sum)
	if err != nil {
		return component{}, fmt.Errorf("module %s: %w", module.Path, err)
	}
	library.Hashes = []hash{{"SHA-256", sum}}
	return library, nil
}

// sha256Of returns a hash of go.sum in hexadecimal. h1 is the SHA-256, in base64, of the list of the
// module's files (golang.org/x/mod/sumdb/dirhash).
func sha256Of(sum string) (string, error) {
	text, found := strings.CutPrefix(sum, "h1:")
	raw, err := base64.StdEncoding.DecodeString(text)
	if !found || err != nil || len(raw) != 32 {
		return "", fmt.Errorf("%q is not an h1 hash of go.sum", sum)
	}
	return hex.EncodeToString(raw), nil
}

func newComponent(kind, name, version string) component {
	url := packageURL(name, version)
	return component{Type: kind, Ref: url, Name: name, Version: version, PURL: url}
}

// packageURL returns the purl of a Go module: in lower case, with the plus of a version encoded
// (purl-spec, types/golang-definition.json).
func packageURL(name, version string) string {
	return "pkg:golang/" + strings.ToLower(name) + "@" + strings.ReplaceAll(version, "+", "%2B")
}
