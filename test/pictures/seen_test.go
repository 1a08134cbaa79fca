package pictures

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"skr/test/tool"
)

// look is a script that lists what is wrong with each picture of the page, by its name. Text must have a contrast
// of 4.5:1 (WCAG 2.2, 1.4.3) to the shape below it, be inside that shape and the picture, and cover
// no other text.
const look = `((look) => Object.fromEntries([...document.querySelectorAll("div")].map((d) => [d.id, look(d.shadowRoot.querySelector("svg"))])))((svg) => {
	const faults = [], whole = svg.getBoundingClientRect();
	const parse = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
	const light = (colour) => parse(colour).slice(0, 3).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const inside = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
	const covers = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4;
	const shapes = [...svg.querySelectorAll("rect")].filter((r) => getComputedStyle(r).fill !== "none");
	const texts = [...svg.querySelectorAll("text")].filter((e) => e.textContent.trim());
	for (const e of texts) {
		const box = e.getBoundingClientRect(), style = getComputedStyle(e), say = (fault) => faults.push(e.textContent.slice(0, 40) + ": " + fault);
		const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
		const below = shapes.filter((r) => inside({left: x, right: x, top: y, bottom: y}, r.getBoundingClientRect())).at(-1);
		if (!below) { say("is on no ground"); continue; }
		const [a, b] = [light(style.fill), light(getComputedStyle(below).fill)].sort((x, y) => y - x);
		if (!((a + 0.05) / (b + 0.05) >= 4.5)) say("contrast " + ((a + 0.05) / (b + 0.05)).toFixed(2));
		if (!inside(box, below.getBoundingClientRect()) || !inside(box, whole)) say("is not inside its shape");
		if (parseFloat(style.fontSize) * whole.width / svg.viewBox.baseVal.width < 9) say("is too small");
		for (const other of texts) if (other !== e && covers(box, other.getBoundingClientRect())) say("covers " + other.textContent.slice(0, 40));
		if (style.opacity !== "1") say("is not shown without animations");
	}
	if (texts.length < 5) faults.push("only " + texts.length + " texts");
	for (const name of ["title", "desc"]) if (!svg.querySelector(":scope > " + name)?.textContent) faults.push("no " + name);
	if (svg.getAnimations({subtree: true}).length) faults.push("animated, though the reader wants no motion");
	return faults;
})`

// shownAs is a picture in a column of that width. Shadow roots keep the styles of the pictures apart.
const shownAs = `<div id="%s" style="width:%dpx"><template shadowrootmode="open">%s</template></div>`

// faults returns what the script finds in Chromium, in readers' light or dark setting.
func faults(t *testing.T, pictures, scheme string) (found map[string][]string) {
	t.Helper()
	page := `<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">` + pictures + `<pre id="faults"></pre>
<script>document.getElementById("faults").textContent = JSON.stringify(` + look + `);</script>`
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	preferred := map[string]string{"light": "1", "dark": "0"}[scheme]
	browser := exec.CommandContext(t.Context(), "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-component-update",
		"--user-data-dir="+t.TempDir(), "--force-prefers-reduced-motion", "--blink-settings=preferredColorScheme="+preferred,
		"--window-size=1600,3000", "--dump-dom", "file://"+path)
	out, err := browser.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	_, rest, _ := strings.Cut(string(out), `<pre id="faults">`)
	text, _, closed := strings.Cut(rest, "</pre>")
	if err := json.Unmarshal([]byte(html.UnescapeString(text)), &found); err != nil || !closed {
		t.Fatalf("the page shows no result: %v\n%.2000s", err, out)
	}
	return found
}

// TestSeen looks at each picture as GitHub shows it: in both colour schemes, on a wide screen (a
// column of 838 pixels) or on a phone (328 of 360 pixels).
func TestSeen(t *testing.T) {
	tool.Need(t, "chromium", "chromium")
	files, err := filepath.Glob(directory + "*.svg")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d pictures, %v", len(files), err)
	}
	var page strings.Builder
	for _, file := range files {
		name, width := filepath.Base(file), 838
		if strings.HasSuffix(name, "-narrow.svg") {
			width = 328
		}
		fmt.Fprintf(&page, shownAs, name, width, read(t, name))
	}
	for _, scheme := range []string{"light", "dark"} {
		found := faults(t, page.String(), scheme)
		if len(found) != len(files) {
			t.Errorf("%d of %d pictures were looked at", len(found), len(files))
		}
		for name, faults := range found {
			for _, fault := range faults {
				t.Errorf("%s, %s: %s", name, scheme, fault)
			}
		}
	}
}

// TestSeenFaults checks that each kind of fault is found.
func TestSeenFaults(t *testing.T) {
	tool.Need(t, "chromium", "chromium")
	const bad = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 100"><style>text{font:12px monospace}
.late{animation:show 2s infinite}@keyframes show{from{opacity:0}to{opacity:.5}}</style>
<rect width="1000" height="100" fill="#ffffff"/><rect x="300" width="20" height="40" fill="#eeeeee"/>
<text x="10" y="20" fill="#888888">pale</text><text x="310" y="20" text-anchor="middle">too long for its box</text><text x="970" y="80">outside</text>
<text x="10" y="80">one</text><text x="12" y="81">two</text><text class="late" x="500" y="50">late</text></svg>`
	all := strings.Join(faults(t, fmt.Sprintf(shownAs, "bad", 500, bad), "light")["bad"], "\n")
	for _, want := range []string{
		"pale: contrast 3.54", "too long for its box: is not inside its shape", "outside: is not inside", "one: covers two",
		"pale: is too small", "late: is not shown", "no title", "no desc", "animated",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("not found: %s, in\n%s", want, all)
		}
	}
}

// TestShown checks that a document shows each picture, on phones too, and that each has a text for
// those who do not see it.
func TestShown(t *testing.T) {
	var documents strings.Builder
	for _, name := range []string{"../../README.md", "../../docs/fleet.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		documents.Write(text)
	}
	files, err := filepath.Glob(directory + "*.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := "pictures/" + filepath.Base(file)
		where := regexp.MustCompile(`<img src="(docs/)?` + regexp.QuoteMeta(name) + `" alt="[^"]{20,}">`)
		if strings.HasSuffix(name, "-narrow.svg") {
			where = regexp.MustCompile(`<source media="\(max-width: 600px\)" srcset="(docs/)?` + regexp.QuoteMeta(name) + `">`)
		}
		if !where.MatchString(documents.String()) {
			t.Errorf("no document shows %s", name)
		}
	}
}
