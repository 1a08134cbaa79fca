package fragment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"

	"skr/internal/operator/execpolicy"
)

// Types of the artifact (confcom, config.py: ARTIFACT_TYPE; confidential-aci-examples).
const (
	artifactType = "application/x-ms-ccepolicy-frag"
	layerType    = "application/cose-x509+rego"
)

const (
	maxReferrers = 100
	userAgent    = "skrctl"
)

// Image is an image in a registry or in a directory with the layout of OCI.
type Image struct {
	Name      string // as it was given
	Feed      string // REGISTRY/REPOSITORY; "" for a directory
	Reference string // tag or digest
	Source    oras.ReadOnlyGraphTarget
	target    oras.GraphTarget
}

// Open finds an image by REGISTRY/REPOSITORY[:TAG|@DIGEST], or by oci:DIRECTORY[:TAG].
// Credentials come from the configuration of Docker, as oras and az acr login write it.
func Open(ctx context.Context, name string) (Image, error) {
	if path, ok := strings.CutPrefix(name, "oci:"); ok {
		return openLayout(ctx, name, path)
	}
	reference, err := registry.ParseReference(name)
	if err != nil {
		return Image{}, fmt.Errorf("image %q: %w", name, err)
	}
	repository, err := openRepository(reference)
	if err != nil {
		return Image{}, fmt.Errorf("image %q: %w", name, err)
	}
	return Image{
		Name: name, Feed: reference.Registry + "/" + reference.Repository, Reference: reference.ReferenceOrDefault(),
		Source: repository, target: repository,
	}, nil
}

func openRepository(reference registry.Reference) (*remote.Repository, error) {
	repository, err := remote.NewRepository(reference.Registry + "/" + reference.Repository)
	if err != nil {
		return nil, err
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading Docker's credentials: %w", err)
	}
	client := &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache(), Credential: credentials.Credential(store)}
	client.SetUserAgent(userAgent)
	repository.Client, repository.PlainHTTP = client, isLoopback(reference.Host())
	// Many registries refuse to delete the former list of referrers. It is unused from then on.
	repository.SkipReferrersGC = true
	return repository, nil
}

// isLoopback reports whether a registry is on this machine, where it has no certificate.
// Docker and oras reach such registries without TLS, too.
func isLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	address, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return name == "localhost" || err == nil && address.IsLoopback()
}

func openLayout(ctx context.Context, name, path string) (Image, error) {
	directory, tag, found := strings.Cut(path, ":")
	if !found {
		tag = "latest"
	}
	if _, err := os.Stat(directory); err != nil {
		return Image{}, fmt.Errorf("image %q: %w", name, err)
	}
	store, err := oci.NewWithContext(ctx, directory)
	if err != nil {
		return Image{}, fmt.Errorf("image %q: %w", name, err)
	}
	return Image{Name: name, Reference: tag, Source: store, target: store}, nil
}

// Attach stores a signed fragment beside an image, where the platform finds it when it
// loads the image. It returns the digest of the artifact's manifest.
func Attach(ctx context.Context, image Image, signed []byte) (string, error) {
	if _, err := Parse(signed); err != nil {
		return "", err
	}
	subject, err := oras.Resolve(ctx, image.target, image.Reference, oras.ResolveOptions{TargetPlatform: amd64})
	if err != nil {
		return "", fmt.Errorf("finding image %s: %w", image.Name, err)
	}
	layer := content.NewDescriptorFromBytes(layerType, signed)
	layer.Annotations = map[string]string{v1.AnnotationTitle: "fragment.rego.cose"}
	exists, err := image.target.Exists(ctx, layer)
	if err != nil {
		return "", fmt.Errorf("asking for the fragment: %w", err)
	}
	if !exists {
		if err := image.target.Push(ctx, layer, strings.NewReader(string(signed))); err != nil {
			return "", fmt.Errorf("storing the fragment: %w", err)
		}
	}
	manifest, err := oras.PackManifest(ctx, image.target, oras.PackManifestVersion1_1, artifactType, oras.PackManifestOptions{
		Subject: &subject, Layers: []v1.Descriptor{layer},
	})
	if err != nil {
		return "", fmt.Errorf("attaching the fragment: %w", err)
	}
	return manifest.Digest.String(), nil
}

// Fetch returns the signed fragments that are attached to an image, unverified.
func Fetch(ctx context.Context, image Image) ([][]byte, error) {
	subject, err := oras.Resolve(ctx, image.Source, image.Reference, oras.ResolveOptions{TargetPlatform: amd64})
	if err != nil {
		return nil, fmt.Errorf("finding image %s: %w", image.Name, err)
	}
	referrers, err := registry.Referrers(ctx, image.Source, subject, artifactType)
	if err != nil {
		return nil, fmt.Errorf("listing what is attached to %s: %w", image.Name, err)
	}
	if len(referrers) > maxReferrers {
		return nil, fmt.Errorf("image %s has more than %d fragments", image.Name, maxReferrers)
	}
	var all [][]byte
	for _, referrer := range referrers {
		signed, err := fetchLayers(ctx, image.Source, referrer)
		if err != nil {
			return nil, fmt.Errorf("reading fragment %s: %w", referrer.Digest, err)
		}
		all = append(all, signed...)
	}
	return all, nil
}

func fetchLayers(ctx context.Context, source oras.ReadOnlyTarget, manifest v1.Descriptor) (all [][]byte, err error) {
	var m v1.Manifest
	if err := readJSON(ctx, source, manifest, &m); err != nil {
		return nil, err
	}
	for _, layer := range m.Layers {
		if layer.MediaType != layerType {
			continue
		}
		if layer.Size > execpolicy.MaxBytes {
			return nil, fmt.Errorf("%d bytes are more than the %d allowed", layer.Size, execpolicy.MaxBytes)
		}
		signed, err := content.FetchAll(ctx, source, layer)
		if err != nil {
			return nil, err
		}
		all = append(all, signed)
	}
	if len(all) == 0 {
		return nil, errors.New("its manifest has no layer of type " + layerType)
	}
	return all, nil
}
