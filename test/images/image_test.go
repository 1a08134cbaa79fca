package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// descriptor of a blob (OCI image specification, descriptor.md).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// writeImage makes an OCI layout (OCI image specification, image-layout.md) named "x" with
// the given number of layers. Each layer has one small file.
func writeImage(t *testing.T, dir string, layers int) {
	t.Helper()
	blob := func(mediaType string, data []byte) descriptor {
		digest := sha256.Sum256(data)
		writeFile(t, filepath.Join(dir, "blobs/sha256", hex.EncodeToString(digest[:])), data)
		return descriptor{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(digest[:]), Size: len(data)}
	}
	m := manifest{SchemaVersion: 2, MediaType: "application/vnd.oci.image.manifest.v1+json"}
	var diffs []string
	for i := range layers {
		layer := blob("application/vnd.oci.image.layer.v1.tar", archive(t, fmt.Sprintf("file-%d", i)))
		m.Layers = append(m.Layers, layer)
		diffs = append(diffs, layer.Digest)
	}
	m.Config = blob("application/vnd.oci.image.config.v1+json", encode(t, map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	}))
	entry := blob(m.MediaType, encode(t, m))
	entry.Annotations = map[string]string{"org.opencontainers.image.ref.name": "x"}
	writeFile(t, filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	writeFile(t, filepath.Join(dir, "index.json"), encode(t, map[string]any{"schemaVersion": 2, "manifests": []descriptor{entry}}))
}

func archive(t *testing.T, name string) []byte {
	t.Helper()
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(name))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(name)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readManifest(t *testing.T, dir string) manifest {
	t.Helper()
	var index struct{ Manifests []descriptor }
	decode(t, readFile(t, filepath.Join(dir, "index.json")), &index)
	var m manifest
	decode(t, readBlob(t, dir, index.Manifests[0]), &m)
	return m
}

func readBlob(t *testing.T, dir string, d descriptor) []byte {
	t.Helper()
	return readFile(t, filepath.Join(dir, "blobs/sha256", strings.TrimPrefix(d.Digest, "sha256:")))
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// layersOf returns the media types of an image's layers.
func layersOf(t *testing.T, dir string) (types []string) {
	t.Helper()
	for _, layer := range readManifest(t, dir).Layers {
		types = append(types, layer.MediaType)
	}
	return types
}

// unpacked returns the archive of a layer, which skopeo may have compressed.
func unpacked(t *testing.T, blob []byte) []byte {
	t.Helper()
	packed, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		return blob
	}
	archive, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// content returns the contents of all layers, concatenated.
func content(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	for _, layer := range readManifest(t, dir).Layers {
		all.Write(unpacked(t, readBlob(t, dir, layer)))
	}
	return all.String()
}
