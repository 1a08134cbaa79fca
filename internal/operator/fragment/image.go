package fragment

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/Microsoft/hcsshim/ext4/tar2ext4"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"

	"skr/internal/operator/execpolicy"
)

// Bounds of an image.
const (
	maxConfig = 4 << 20
	maxLayers = 128
	maxLayer  = 32 << 30 // unpacked
)

// Media types of layers (OCI Image Specification, "Media Types"; Docker Image Manifest V2).
const (
	dockerLayer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	dockerPlain = "application/vnd.docker.image.rootfs.diff.tar"
)

// amd64 is the only platform of confidential container groups.
var amd64 = &v1.Platform{OS: "linux", Architecture: "amd64"}

// FromImage describes the container that an image makes without further arguments on a
// platform. It reads every layer: the utility VM measures each as the dm-verity root hash
// of the ext4 image that the host makes of it (hcsshim, ext4/tar2ext4).
func FromImage(ctx context.Context, image Image, platform Platform) (execpolicy.Container, error) {
	c, err := fromImage(ctx, image, platform)
	if err != nil {
		return execpolicy.Container{}, fmt.Errorf("reading image %s: %w", image.Name, err)
	}
	return c, nil
}

func fromImage(ctx context.Context, image Image, platform Platform) (c execpolicy.Container, err error) {
	manifest, err := readManifest(ctx, image)
	if err != nil {
		return c, err
	}
	var config v1.Image
	if err := readJSON(ctx, image.Source, manifest.Config, &config); err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	c = platform.container(config.Config)
	c.Name, c.ID = image.Name, image.Name
	for i, layer := range manifest.Layers {
		hash, err := hashLayer(ctx, image.Source, layer)
		if err != nil {
			return c, fmt.Errorf("layer %d: %w", i+1, err)
		}
		c.Layers = append(c.Layers, hash)
	}
	return c, nil
}

func readManifest(ctx context.Context, image Image) (m v1.Manifest, err error) {
	descriptor, err := oras.Resolve(ctx, image.Source, image.Reference, oras.ResolveOptions{TargetPlatform: amd64})
	if err != nil {
		return m, fmt.Errorf("finding its linux/amd64 manifest: %w", err)
	}
	if err := readJSON(ctx, image.Source, descriptor, &m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	if len(m.Layers) == 0 || len(m.Layers) > maxLayers {
		return m, fmt.Errorf("manifest: it has %d layers; 1 to %d are possible", len(m.Layers), maxLayers)
	}
	return m, nil
}

// readJSON reads a small blob whose digest and size are verified.
func readJSON(ctx context.Context, source content.Fetcher, descriptor v1.Descriptor, into any) error {
	if descriptor.Size > maxConfig {
		return fmt.Errorf("%d bytes are more than the %d allowed", descriptor.Size, maxConfig)
	}
	text, err := content.FetchAll(ctx, source, descriptor)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// hashLayer returns the dm-verity root hash of a layer: 64 hexadecimal digits.
func hashLayer(ctx context.Context, source content.Fetcher, layer v1.Descriptor) (hash string, err error) {
	blob, err := source.Fetch(ctx, layer)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	verified := content.NewVerifyReader(blob, layer)
	tar, err := unpack(verified, layer.MediaType)
	if err != nil {
		return "", err
	}
	bounded := &io.LimitedReader{R: tar, N: maxLayer}
	if hash, err = tar2ext4.ConvertAndComputeRootDigest(bounded); err != nil {
		return "", err
	}
	if bounded.N == 0 {
		return "", fmt.Errorf("it is longer than %d bytes unpacked", int64(maxLayer))
	}
	if _, err := io.Copy(io.Discard, verified); err != nil { // what follows the archive counts in the digest
		return "", err
	}
	return hash, verified.Verify()
}

func unpack(blob io.Reader, mediaType string) (io.Reader, error) {
	switch mediaType {
	case v1.MediaTypeImageLayer, dockerPlain:
		return blob, nil
	case v1.MediaTypeImageLayerGzip, dockerLayer:
		return gzip.NewReader(blob)
	}
	return nil, fmt.Errorf("media type %q is not a tar layer, plain or with gzip", mediaType)
}
