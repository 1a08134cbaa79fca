package container

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"skr/test/tool"
)

const root = "../.."

// build builds skr's image as `make image` does.
func build(t *testing.T, env ...string) (dir string) {
	t.Helper()
	return buildImage(t, "skr", env...)
}

// buildImage builds the image of a program as `make image PROGRAM=…` does.
func buildImage(t *testing.T, program string, env ...string) (dir string) {
	t.Helper()
	tool.Need(t, "buildah", "buildah")
	dir = t.TempDir()
	run := exec.Command("sh", "deploy/image/build.sh", dir)
	run.Dir, run.Env = root, append(append(os.Environ(), "PROGRAM="+program, "VERSION=v1.2.3"), env...)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if digest := readImage(t, filepath.Join(dir, program+".tar")).digest; !strings.Contains(string(out), digest) {
		t.Errorf("build.sh printed %s, not the digest %s", out, digest)
	}
	return dir
}

// Without buildah the build reports what it needs, and the alternative.
func TestNeedsBuildah(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(sh, "deploy/image/build.sh", t.TempDir())
	run.Dir, run.Env = root, []string{"PATH=" + t.TempDir()}
	out, err := run.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "make image needs buildah") || !strings.Contains(string(out), "docker build") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The image has the same digest if it is built again in another place, at another time and
// with another user's environment.
func TestSameDigest(t *testing.T) {
	first, second := build(t, "SOURCE_DATE_EPOCH=1700000000"), build(t, "SOURCE_DATE_EPOCH=1700000000", "TZ=Asia/Tokyo", "TMPDIR="+t.TempDir(), "LC_ALL=C.UTF-8")
	one, two := readImage(t, filepath.Join(first, "skr.tar")), readImage(t, filepath.Join(second, "skr.tar"))
	if one.digest != two.digest {
		t.Errorf("digests %s and %s", one.digest, two.digest)
	}
	if later := readImage(t, filepath.Join(build(t, "SOURCE_DATE_EPOCH=1700000001"), "skr.tar")); later.digest == one.digest {
		t.Error("SOURCE_DATE_EPOCH is not in the image")
	}
}

func TestImage(t *testing.T) {
	dir := build(t, "SOURCE_DATE_EPOCH=1700000000")
	got := readImage(t, filepath.Join(dir, "skr.tar"))
	c := got.config.Config
	if c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/bin/skr"}) {
		t.Errorf("the image runs %q as %q", c.Entrypoint, c.User)
	}
	if _, exposed := c.ExposedPorts["8080/tcp"]; !exposed {
		t.Errorf("ports %v, want 8080/tcp", c.ExposedPorts)
	}
	if created, err := time.Parse(time.RFC3339, got.config.Created); err != nil || created.Unix() != 1700000000 {
		t.Errorf("created at %q, want SOURCE_DATE_EPOCH; %v", got.config.Created, err)
	}
	for name, want := range map[string]string{
		"title": "^skr$", "version": `^v1\.2\.3$`, "licenses": "^MIT$", "revision": "^([0-9a-f]{40}|unknown)$", "description": ".",
	} {
		if label := c.Labels["org.opencontainers.image."+name]; !regexp.MustCompile(want).MatchString(label) {
			t.Errorf("label %s is %q, want %s", name, label, want)
		}
	}
	if len(c.Labels) != 5 {
		t.Errorf("labels %v, want five", c.Labels)
	}
	beside, err := os.ReadFile(filepath.Join(dir, "skr.cdx.json"))
	if err != nil || !bytes.Equal(beside, got.sbom) || len(beside) == 0 {
		t.Errorf("the bill of materials beside the image (%d bytes) differs from the one in it (%d bytes); %v", len(beside), len(got.sbom), err)
	}
	checkFiles(t, got)
	if bytes.Contains(got.contents["bin/skr"], []byte(emulatorPackage)) {
		t.Error("the image of skr contains the emulator")
	}
}

// checkFiles checks that everything in the image belongs to root, which does not run, and that no
// other user may write it.
func checkFiles(t *testing.T, got image) {
	t.Helper()
	links := map[string]string{"skr.sh": "bin/skr", "bin/sh": "skr"}
	var names []string
	for _, file := range got.files {
		names = append(names, strings.TrimSuffix(file.Name, "/"))
		if file.Uid != 0 || file.Gid != 0 || file.ModTime.Unix() != 1700000000 {
			t.Errorf("%s belongs to %d:%d and has the time %v", file.Name, file.Uid, file.Gid, file.ModTime)
		}
		if file.Linkname != links[file.Name] {
			t.Errorf("%s is a link to %q, want %q", file.Name, file.Linkname, links[file.Name])
		}
		if file.Linkname == "" && file.Mode&0o022 != 0 {
			t.Errorf("%s has mode %o", file.Name, file.Mode)
		}
	}
	slices.Sort(names)
	want := "bin bin/sh bin/skr skr.sh usr usr/share usr/share/doc usr/share/doc/skr usr/share/doc/skr/NOTICES.txt " +
		"usr/share/doc/skr/copyright usr/share/sbom usr/share/sbom/skr.cdx.json"
	if strings.Join(names, " ") != want {
		t.Errorf("files %s\nwant %s", names, want)
	}
}

// The first stage of each Dockerfile makes the same directory as build.sh, with the same script.
// buildah itself parses the rest.
func TestDockerfile(t *testing.T) {
	for file, c := range map[string]struct{ layout, last string }{
		"Dockerfile":                       {`RUN VERSION="${VERSION}" sh deploy/image/layout.sh /image`, "COPY --from=build /image/ /\n"},
		"examples/compose/Dockerfile":      {`RUN PROGRAM=skr-example VERSION="${VERSION}" sh deploy/image/layout.sh /image`, "COPY --from=build /image/ /\n"},
		"deploy/image/emulator.Dockerfile": {`RUN PROGRAM=skr-emulator VERSION="${VERSION}" sh deploy/image/layout.sh /image`, "/image/run/ /run/\n"},
	} {
		first, final, found := strings.Cut(text(t, filepath.Join(root, file)), "\nFROM scratch\n")
		if !found {
			t.Fatalf("the final stage of %s is not FROM scratch", file)
		}
		if !strings.Contains(first, c.layout+"\n") || strings.Count(first, "RUN ") != 2 {
			t.Errorf("the first stage of %s does more than layout.sh:\n%s", file, first)
		}
		if !strings.Contains(final, c.last) || strings.Contains(final, "RUN ") {
			t.Errorf("the final stage of %s has more than that directory:\n%s", file, final)
		}
	}
	if !strings.Contains(text(t, root+"/deploy/image/build.sh"), `sh deploy/image/layout.sh "$work/build/image"`) {
		t.Error("build.sh does not use layout.sh")
	}
}
