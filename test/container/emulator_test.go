package container

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skr/test/tool"
)

// emulatorPackage is in the table of functions of each program that links the emulator.
const emulatorPackage = "skr/test/emulator"

// The emulator's image has the program, its bill of materials and empty places for volumes: no key
// and no certificate, which the emulator makes when it starts. Its digest is reproducible.
func TestEmulatorImage(t *testing.T) {
	dir := buildImage(t, "skr-emulator", "SOURCE_DATE_EPOCH=1700000000")
	got := readImage(t, filepath.Join(dir, "skr-emulator.tar"))
	c := got.config.Config
	if c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/bin/skr-emulator"}) {
		t.Errorf("the image runs %q as %q", c.Entrypoint, c.User)
	}
	if label := c.Labels["org.opencontainers.image.description"]; !strings.Contains(label, "TEST ONLY") {
		t.Errorf("the description is %q", label)
	}
	var names []string
	for _, file := range got.files {
		name := strings.TrimSuffix(file.Name, "/")
		names = append(names, name)
		owner, mode := 0, int64(0o755)
		if strings.HasPrefix(name, "run") {
			owner = 65532
		}
		if strings.HasPrefix(name, "run/") {
			mode = 0o700
		}
		if file.Uid != owner || file.FileInfo().Mode().Perm()&^fs.FileMode(mode) != 0 || file.ModTime.Unix() != 1700000000 {
			t.Errorf("%s belongs to %d with mode %o and time %v", name, file.Uid, file.Mode, file.ModTime)
		}
	}
	slices.Sort(names)
	want := "bin bin/skr-emulator run run/emulator run/other-pod run/pod usr usr/share usr/share/doc usr/share/doc/skr-emulator " +
		"usr/share/doc/skr-emulator/NOTICES.txt usr/share/doc/skr-emulator/copyright usr/share/sbom usr/share/sbom/skr-emulator.cdx.json"
	if strings.Join(names, " ") != want {
		t.Errorf("files %s\nwant %s", strings.Join(names, " "), want)
	}
	if !bytes.Contains(got.contents["bin/skr-emulator"], []byte(emulatorPackage)) {
		t.Error("TestImage cannot recognise the emulator")
	}
	again := buildImage(t, "skr-emulator", "SOURCE_DATE_EPOCH=1700000000", "TZ=Asia/Tokyo")
	if second := readImage(t, filepath.Join(again, "skr-emulator.tar")); second.digest != got.digest {
		t.Errorf("digests %s and %s", got.digest, second.digest)
	}
}

func TestUnknownProgram(t *testing.T) {
	tool.Need(t, "buildah", "buildah")
	run := exec.Command("sh", "deploy/image/build.sh", t.TempDir())
	run.Dir, run.Env = root, append(os.Environ(), "PROGRAM=skrctl")
	if out, err := run.CombinedOutput(); err == nil || !strings.Contains(string(out), "use skr, skr-emulator or skr-example") {
		t.Errorf("%v\n%s", err, out)
	}
}
