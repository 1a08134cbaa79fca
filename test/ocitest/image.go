// Package ocitest makes small container images for tests, and runs a registry for them.
package ocitest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
)

// Layer returns a tar archive that holds one file.
func Layer(text string) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(text))}); err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return nil, err
	}
	return archive.Bytes(), w.Close()
}

// Push stores an image of one layer for linux/amd64 under a tag. Its program is the text.
func Push(ctx context.Context, target oras.Target, tag, text string) error {
	archive, err := Layer(text)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(archive); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	config, err := json.Marshal(v1.Image{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		Config:   v1.ImageConfig{Entrypoint: []string{"/app"}, Cmd: []string{"serve"}, Env: []string{"PATH=/bin"}, WorkingDir: "/srv"},
		RootFS:   v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(archive)}},
	})
	if err != nil {
		return err
	}
	return pushManifest(ctx, target, tag, config, packed.Bytes())
}

func pushManifest(ctx context.Context, target oras.Target, tag string, config, layer []byte) error {
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: content.NewDescriptorFromBytes(v1.MediaTypeImageConfig, config),
		Layers: []v1.Descriptor{content.NewDescriptorFromBytes(v1.MediaTypeImageLayerGzip, layer)},
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	descriptor := content.NewDescriptorFromBytes(v1.MediaTypeImageManifest, manifest)
	for _, part := range []struct {
		descriptor v1.Descriptor
		data       []byte
	}{{m.Config, config}, {m.Layers[0], layer}, {descriptor, manifest}} {
		exists, err := target.Exists(ctx, part.descriptor)
		if err == nil && !exists {
			err = target.Push(ctx, part.descriptor, bytes.NewReader(part.data))
		}
		if err != nil {
			return fmt.Errorf("ocitest: pushing %s: %w", part.descriptor.MediaType, err)
		}
	}
	return target.Tag(ctx, descriptor, tag)
}
