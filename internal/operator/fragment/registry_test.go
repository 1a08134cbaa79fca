package fragment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"

	"skr/test/ocitest"
)

// blob is a store of one blob, whatever is asked for.
type blob struct{ data []byte }

func (b blob) Fetch(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b.data)), nil
}

func layout(t *testing.T) (string, *oci.Store) {
	t.Helper()
	directory := t.TempDir()
	store, err := oci.New(directory)
	if err != nil {
		t.Fatal(err)
	}
	return directory, store
}

func push(t *testing.T, target oras.Target, tag, text string) {
	t.Helper()
	if err := ocitest.Push(t.Context(), target, tag, text); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, name string) Image {
	t.Helper()
	image, err := Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestFromImage(t *testing.T) {
	directory, store := layout(t)
	push(t, store, "1", "one")
	push(t, store, "2", "two")
	for name, want := range map[string]int{"aci": 1, "aci-vn2": 6} {
		platform, err := ParsePlatform(name)
		if err != nil {
			t.Fatal(err)
		}
		one, err := FromImage(t.Context(), open(t, "oci:"+directory+":1"), platform)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(one.Command, " ") != "/app serve" || one.WorkingDir != "/srv" || len(one.Layers) != 1 || len(one.Layers[0]) != 2*sha256.Size ||
			len(one.Mounts) != want || one.EnvRules[0].Pattern != "PATH=/bin" || one.AllowElevated {
			t.Errorf("%s: read as %+v", name, one)
		}
		two, err := FromImage(t.Context(), open(t, "oci:"+directory+":2"), platform)
		if err != nil || two.Layers[0] == one.Layers[0] {
			t.Errorf("%s: layers %v and %v, %v", name, one.Layers, two.Layers, err)
		}
	}
	if _, err := FromImage(t.Context(), open(t, "oci:"+directory+":3"), Platform{}); err == nil {
		t.Error("a tag that does not exist is read")
	}
	if _, err := ParsePlatform("mars"); err == nil {
		t.Error("a platform that does not exist is known")
	}
}

// A layer whose bytes are not those of its digest is refused.
func TestAlteredLayer(t *testing.T) {
	archive, err := ocitest.Layer("one")
	if err != nil {
		t.Fatal(err)
	}
	layer := content.NewDescriptorFromBytes(v1.MediaTypeImageLayer, archive)
	altered := bytes.Replace(archive, []byte("one"), []byte("two"), 1)
	if hash, err := hashLayer(t.Context(), blob{altered}, layer); err == nil {
		t.Errorf("hashed to %s", hash)
	}
	if _, err := hashLayer(t.Context(), blob{archive}, layer); err != nil {
		t.Error(err)
	}
	layer.MediaType = v1.MediaTypeImageLayerZstd
	if _, err := hashLayer(t.Context(), blob{archive}, layer); err == nil || !strings.Contains(err.Error(), "is not a tar layer") {
		t.Errorf("of zstd: %v", err)
	}
}

// attachAndFetch attaches two fragments to an image and fetches them.
func attachAndFetch(t *testing.T, name string) {
	t.Helper()
	s := signer(t, "Contoso")
	image := open(t, name)
	want := map[string]bool{}
	for _, svn := range []uint64{1, 2} {
		raw, err := Sign(compose(t, svn), s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Attach(t.Context(), image, raw); err != nil {
			t.Fatal(err)
		}
		if _, err := Attach(t.Context(), image, raw); err != nil {
			t.Errorf("attaching a second time: %v", err)
		}
		want[string(raw)] = true
	}
	all, err := Fetch(t.Context(), open(t, name))
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range all {
		delete(want, string(raw))
	}
	if len(want) > 0 {
		t.Errorf("%d fragments were not fetched", len(want))
	}
	if _, err := Attach(t.Context(), image, []byte("x")); err == nil {
		t.Error("what is no fragment was attached")
	}
}

func TestLayout(t *testing.T) {
	directory, store := layout(t)
	push(t, store, "1", "one")
	if all, err := Fetch(t.Context(), open(t, "oci:"+directory+":1")); err != nil || len(all) > 0 {
		t.Errorf("before: %d fragments, %v", len(all), err)
	}
	attachAndFetch(t, "oci:"+directory+":1")
}

func TestRegistry(t *testing.T) {
	host := ocitest.StartRegistry(t)
	push(t, ocitest.Repository(t, host, "app"), "1", "one")
	attachAndFetch(t, host+"/app:1")
	image := open(t, host+"/app:1")
	if image.Feed != host+"/app" {
		t.Errorf("feed %s", image.Feed)
	}
	platform, err := ParsePlatform("aci")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := FromImage(t.Context(), image, platform); err != nil || len(c.Layers) != 1 {
		t.Errorf("from the registry: %+v, %v", c, err)
	}
	if _, err := Fetch(t.Context(), open(t, host+"/app:2")); err == nil {
		t.Error("an image that does not exist has fragments")
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:5000": true, "127.1.2.3": true, "[::1]:5000": true,
		"registry.example": false, "localhost.example:5000": false, "10.0.0.1:5000": false, "127.example": false,
	} {
		if isLoopback(host) != want {
			t.Errorf("%s: %t", host, !want)
		}
	}
}
