package container

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// image describes an OCI archive of one image with one layer (OCI image format specification
// 1.1).
type image struct {
	digest string
	config struct {
		Created string
		Config  struct {
			User         string
			Entrypoint   []string
			ExposedPorts map[string]struct{}
			Labels       map[string]string
		}
	}
	files    []*tar.Header
	contents map[string][]byte
	sbom     []byte
}

type descriptor struct {
	Digest string
}

func readImage(t *testing.T, path string) image {
	t.Helper()
	blobs := contents(t, path)
	var index struct{ Manifests []descriptor }
	decode(t, blobs["index.json"], &index)
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	if len(index.Manifests) != 1 {
		t.Fatalf("the archive has %d images, want 1", len(index.Manifests))
	}
	found := image{digest: index.Manifests[0].Digest}
	decode(t, blobs[blob(found.digest)], &manifest)
	decode(t, blobs[blob(manifest.Config.Digest)], &found.config)
	if len(manifest.Layers) != 1 {
		t.Fatalf("the image has %d layers, want 1", len(manifest.Layers))
	}
	found.readLayer(t, path, blob(manifest.Layers[0].Digest))
	return found
}

// blob returns the path in the archive of the content with this digest.
func blob(digest string) string { return "blobs/sha256/" + digest[len("sha256:"):] }

func (i *image) readLayer(t *testing.T, path, name string) {
	t.Helper()
	walk(t, path, func(header *tar.Header, body io.Reader) {
		if header.Name != name {
			return
		}
		layer := tar.NewReader(body)
		i.contents = make(map[string][]byte)
		for header := next(t, layer); header != nil; header = next(t, layer) {
			i.files = append(i.files, header)
			i.contents[header.Name] = read(t, layer)
			if strings.HasPrefix(header.Name, "usr/share/sbom/") {
				i.sbom = i.contents[header.Name]
			}
		}
	})
}

// contents returns the small files of an archive.
func contents(t *testing.T, path string) map[string][]byte {
	t.Helper()
	blobs := make(map[string][]byte)
	walk(t, path, func(header *tar.Header, body io.Reader) {
		if header.Size < 1<<20 {
			blobs[header.Name] = read(t, body)
		}
	})
	return blobs
}

func walk(t *testing.T, path string, visit func(*tar.Header, io.Reader)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	archive := tar.NewReader(file)
	for header := next(t, archive); header != nil; header = next(t, archive) {
		visit(header, archive)
	}
}

// next returns the next file, or nil after the last.
func next(t *testing.T, archive *tar.Reader) *tar.Header {
	t.Helper()
	header, err := archive.Next()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return header
}

func read(t *testing.T, r io.Reader) []byte {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v in %.200q", err, data)
	}
}
