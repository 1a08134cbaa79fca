package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var snapshot = flag.String("snapshot", "", "directory of files that goreleaser release --snapshot has made")

// TestSnapshot looks into each file of a snapshot.
func TestSnapshot(t *testing.T) {
	if *snapshot == "" {
		t.Skip("this test needs a snapshot of a release, which takes minutes: make release-check")
	}
	sums := checksums(t)
	kinds := map[string]int{}
	for name := range sums {
		kinds[path.Ext(name)]++
		file := filepath.Join(*snapshot, name)
		switch path.Ext(name) {
		case ".gz":
			checkArchive(t, name, untar(t, gunzip(t, readFile(t, file))))
		case ".zip":
			checkArchive(t, name, unzip(t, file))
		case ".deb":
			checkDebian(t, name, unar(t, readFile(t, file)))
		case ".rpm":
			if !bytes.HasPrefix(readFile(t, file), []byte{0xed, 0xab, 0xee, 0xdb}) {
				t.Errorf("%s is no package", name)
			}
		case ".json":
			checkBill(t, name, readFile(t, file))
		}
	}
	for _, kind := range []string{".gz", ".deb", ".rpm", ".json"} {
		if kinds[kind] == 0 {
			t.Errorf("no file ends in %s: %v", kind, kinds)
		}
	}
	checkCask(t, sums)
}

// checksums compares the files with checksums.txt.
func checksums(t *testing.T) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for line := range strings.Lines(string(readFile(t, filepath.Join(*snapshot, "checksums.txt")))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got := sha256.Sum256(readFile(t, filepath.Join(*snapshot, name)))
		if hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s has the SHA-256 %x, and checksums.txt names %s", name, got, sum)
		}
		sums[name] = sum
	}
	return sums
}

// checkArchive checks that the archive holds the program, its manual pages, and the licences.
func checkArchive(t *testing.T, name string, files map[string][]byte) {
	t.Helper()
	program, _, _ := strings.Cut(name, "_")
	wanted := []string{"LICENSE", "NOTICES.txt", "README.md", "LIMITATIONS.md", "CHANGELOG.md", "man/" + program + ".1", "man/" + program + "-version.1"}
	if program == "skrctl" {
		wanted = append(wanted, "completions/skrctl.bash", "completions/skrctl.zsh", "completions/skrctl.fish")
	}
	if strings.Contains(name, "windows") {
		program += ".exe"
	}
	wants(t, name, files, append(wanted, program)...)
	for _, module := range []string{"Go go1.", "github.com/veraison/go-cose", "Mozilla Public License"} {
		if !bytes.Contains(files["NOTICES.txt"], []byte(module)) {
			t.Errorf("%s: NOTICES.txt does not name %q", name, module)
		}
	}
	for file := range files {
		if strings.HasPrefix(file, "man/skrctl") && program == "skr" {
			t.Errorf("%s has the manual page %s", name, file)
		}
	}
}

// checkDebian checks the control file, and that all files are in places of Debian.
func checkDebian(t *testing.T, name string, members map[string][]byte) {
	t.Helper()
	control := string(untar(t, gunzip(t, members["control.tar.gz"]))["control"])
	for _, field := range []string{"Package: skrctl\n", "Homepage: https://github.com/", "Maintainer: ", "Description: "} {
		if !strings.Contains(control, field) {
			t.Errorf("%s: the control file lacks %q:\n%s", name, field, control)
		}
	}
	if strings.Contains(control, "localhost") {
		t.Errorf("%s: the maintainer has no address:\n%s", name, control)
	}
	files := untar(t, gunzip(t, members["data.tar.gz"]))
	wants(t, name, files, "usr/bin/skrctl", "usr/share/man/man1/skrctl.1", "usr/share/man/man1/skrctl-key-policy-allow.1",
		"usr/share/bash-completion/completions/skrctl", "usr/share/zsh/vendor-completions/_skrctl",
		"usr/share/fish/vendor_completions.d/skrctl.fish", "usr/share/doc/skrctl/copyright", "usr/share/doc/skrctl/NOTICES.txt")
}

func checkBill(t *testing.T, name string, text []byte) {
	t.Helper()
	var bill struct {
		BomFormat  string
		Components []struct{ Purl string }
	}
	if err := json.Unmarshal(text, &bill); err != nil || bill.BomFormat != "CycloneDX" || len(bill.Components) < 30 {
		t.Errorf("%s is not the bill of a program: %v, %d components", name, err, len(bill.Components))
	}
}

// checkCask checks that Homebrew gets the archives that were made.
func checkCask(t *testing.T, sums map[string]string) {
	t.Helper()
	cask := string(readFile(t, filepath.Join(*snapshot, "homebrew/Casks/skrctl.rb")))
	for name, sum := range sums {
		unix := strings.HasPrefix(name, "skrctl_") && strings.HasSuffix(name, ".tar.gz")
		if unix && !strings.Contains(cask, sum) {
			t.Errorf("the cask lacks %s", name)
		}
	}
	for _, file := range []string{"bash_completion", "zsh_completion", "fish_completion", "manpage"} {
		if !strings.Contains(cask, file+` "`) {
			t.Errorf("the cask has no %s:\n%s", file, cask)
		}
	}
	if strings.Contains(cask, "generate_completions") {
		t.Error("the cask runs skrctl, which macOS stops, because it is not notarised")
	}
	if !strings.Contains(cask, `homepage "https://`) {
		t.Errorf("the cask has no homepage:\n%s", cask)
	}
}

func wants(t *testing.T, archive string, files map[string][]byte, names ...string) {
	t.Helper()
	for _, name := range names {
		if len(files[name]) == 0 {
			t.Errorf("%s lacks %s", archive, name)
		}
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func gunzip(t *testing.T, content []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func untar(t *testing.T, content []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for reader := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files[path.Clean(header.Name)] = text
	}
}

func unzip(t *testing.T, name string) map[string][]byte {
	t.Helper()
	reader, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	files := map[string][]byte{}
	for _, entry := range reader.File {
		file, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(file)
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		files[entry.Name] = text
	}
	return files
}

// unar returns the members of a Debian package, which is an ar archive (deb(5)).
func unar(t *testing.T, content []byte) map[string][]byte {
	t.Helper()
	const magic, header = "!<arch>\n", 60
	if !bytes.HasPrefix(content, []byte(magic)) {
		t.Fatalf("no ar archive: %.20q", content)
	}
	members, rest := map[string][]byte{}, content[len(magic):]
	for len(rest) >= header {
		name := strings.TrimRight(string(rest[:16]), " /")
		size, err := strconv.Atoi(strings.TrimSpace(string(rest[48:58])))
		if err != nil || len(rest) < header+size {
			t.Fatalf("member %q: %v", name, err)
		}
		members[name] = rest[header : header+size]
		rest = rest[min(header+size+size%2, len(rest)):]
	}
	if names := fmt.Sprint(slices.Sorted(maps.Keys(members))); names != "[control.tar.gz data.tar.gz debian-binary]" {
		t.Fatalf("the package has %s", names)
	}
	return members
}
