package pages

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link = regexp.MustCompile(`\]\(([^)\s]+)\)|(?m:^\[[^\]]+\]: (\S+)$)`)
	// mention is a document in another file, as in "see docs/keys.md#flags".
	mention = regexp.MustCompile(`\bdocs/[a-z0-9/-]+\.md(?:#[a-z0-9-]+)?`)
	heading = regexp.MustCompile(`^#+ (.*)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinks checks that links between documents lead to a file, and to a heading of it.
func TestLinks(t *testing.T) {
	all, checked := documents(t), 0
	for name, text := range all {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target := match[1] + match[2]
			if strings.Contains(target, "://") {
				continue
			}
			checked++
			file, anchor, _ := strings.Cut(target, "#")
			path := name
			if file != "" {
				path = filepath.Join(filepath.Dir(name), file)
			}
			if err := leads(all, path, anchor); err != nil && !strings.HasPrefix(target, "../blob/") {
				t.Errorf("%s: %s: %v", name, target, err)
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d links were found", checked)
	}
}

// TestMentions checks that the documents that code, manifests and scripts name exist.
func TestMentions(t *testing.T) {
	all, checked := documents(t), 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == ".git" || name == "node_modules" || path == root+"/bin" || path == root+"/dist" {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".yaml", ".yml", ".json", ".sh", ".txt", ".service", "":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, at := range mention.FindAllIndex(text, -1) {
			name, anchor, _ := strings.Cut(string(text[at[0]:at[1]]), "#")
			before := string(text[max(0, at[0]-1):at[0]])
			if before == "/" && !strings.HasSuffix(string(text[max(0, at[0]-3):at[0]]), "../") || name == "docs/keyprovider.md" {
				continue // of another project
			}
			checked++
			if err := leads(all, name, anchor); err != nil {
				t.Errorf("%s: %s: %v", path, name, err)
			}
		}
		return nil
	})
	if err != nil || checked < 50 {
		t.Errorf("%d mentions were found: %v", checked, err)
	}
}

// leads returns an error unless the file exists and has the heading.
func leads(all map[string]string, path, anchor string) error {
	if _, err := os.Stat(filepath.Join(root, path)); err != nil {
		return err
	}
	if text, known := all[path]; anchor != "" && known && !anchors(text)[anchor] {
		return fmt.Errorf("%s has no heading #%s", path, anchor)
	}
	return nil
}

// anchors returns the anchors of a document's headings, as GitHub makes them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, line := range prose(text) {
		if match := heading.FindStringSubmatch(line); match != nil {
			slug := noSlug.ReplaceAllString(strings.ToLower(match[1]), "")
			found[strings.ReplaceAll(slug, " ", "-")] = true
		}
	}
	return found
}

func TestAnchors(t *testing.T) {
	found := anchors("# Run `skr exec`: how?\n```\n# no heading\n```\n## Two_words, and 3\n")
	if len(found) != 2 || !found["run-skr-exec-how"] || !found["two_words-and-3"] {
		t.Errorf("%v", found)
	}
}
