package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"skr/examples/kafka/board"
	"skr/examples/kafka/message"
	"skr/examples/kafka/page"
)

// openPage shows a board in a browser.
func openPage(t *testing.T, b *board.Board) *browser {
	t.Helper()
	server := httptest.NewServer(page.Handler(b, page.About{
		Topic: topic, Key: keyName, Vault: strings.Repeat("long", 6) + ".vault.azure.net", Authority: "sharedeus2.eus2.test.attest.azure.net",
	}))
	t.Cleanup(server.Close) // after the browser, whose stream would keep it open
	return browse(t, server.URL)
}

func encrypted(t *testing.T, key *rsa.PrivateKey, text string) board.Message {
	t.Helper()
	sealed, err := message.Encrypt(&key.PublicKey, text)
	if err != nil {
		t.Fatal(err)
	}
	return board.Message{Value: []byte(sealed)}
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// poorContrast lists visible texts with a contrast of less than 4.5:1 (WCAG
// 2.2, 1.4.3 and its definition of contrast ratio).
const poorContrast = `(() => {
	const parse = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.length === 3 || c[3] === 1) return c;
		}
		return [255, 255, 255];
	};
	const poor = [];
	for (const e of document.querySelectorAll("body *")) {
		const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
		if (!own || !e.checkVisibility() || e.matches(".skip, script, noscript, template")) continue;
		const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (!(ratio >= 4.5)) poor.push(e.textContent.trim().slice(0, 40) + ": " + ratio.toFixed(2));
	}
	return poor;
})()`

// TestReadable checks that every text is readable in both colour schemes and
// that nothing requires sideways scrolling, from 320 pixels on (WCAG 2.2, 1.4.10).
func TestReadable(t *testing.T) {
	key := newKey(t)
	b := board.New(10)
	b.Broker("unable to dial: connection refused")
	b.Refused("release rejected: x-ms-sevsnpvm-hostdata equals \""+strings.Repeat("0f", 32)+"\"", "release_rejected", "r-1")
	b.Add(encrypted(t, key, "text"))
	p := openPage(t, b)
	check := func(state string) {
		for _, scheme := range []string{"light", "dark"} {
			p.do(t, screen{state, 320, 640, scheme}.show)
			if poor := evaluate[[]string](t, p, poorContrast); len(poor) > 0 {
				t.Errorf("%s, %s: too little contrast: %q", state, scheme, poor)
			}
			for _, width := range []int64{320, 360, 1600} {
				p.do(t, screen{state, width, 640, scheme}.show)
				if wide := evaluate[int64](t, p, `document.documentElement.scrollWidth`); wide > width {
					t.Errorf("%s: the page is %d pixels wide on a screen of %d", state, wide, width)
				}
			}
		}
	}
	p.reads(t, "Decryption is not active", "ciphertext", "Kafka does not answer", "Live")
	check("refused")
	b.Add(board.Message{Offset: 1, Value: []byte(strings.Repeat("bad", 200))})
	b.Decrypt(message.Key{Private: key, Name: keyName, Version: strings.Repeat("0a", 16)})
	p.reads(t, "Decryption is active", "bad message")
	check("active")
}

// paleOnPaper lists visible texts with a contrast of less than 4.5:1 to white paper. Browsers print
// no backgrounds.
var paleOnPaper = strings.Replace(poorContrast, "light(behind(e))", "1", 1)

// TestPrint checks that every text can be read on paper, in both colour schemes.
func TestPrint(t *testing.T) {
	key := newKey(t)
	b := board.New(10)
	b.Add(encrypted(t, key, "text"))
	b.Add(board.Message{Offset: 1, Value: []byte("bad")})
	p := openPage(t, b)
	p.reads(t, "Decryption is not active", "Live")
	check := func(state string) {
		for _, scheme := range []string{"light", "dark"} {
			p.do(t, screen{state, 794, 1123, scheme}.print)
			if pale := evaluate[[]string](t, p, paleOnPaper); len(pale) > 0 {
				t.Errorf("%s, %s: too little contrast on paper: %q", state, scheme, pale)
			}
			if controls := evaluate[bool](t, p, `document.getElementById("pause").checkVisibility()`); controls {
				t.Errorf("%s, %s: a button is printed", state, scheme)
			}
		}
	}
	check("refused")
	b.Decrypt(message.Key{Private: key, Name: keyName, Version: "1"})
	p.reads(t, "Decryption is active", "bad message")
	check("active")
}

// TestSide checks the page that shows both consumers side by side.
func TestSide(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("../demo/side")))
	for _, consumer := range []string{"/may/", "/may-not/"} {
		mux.HandleFunc(consumer, func(http.ResponseWriter, *http.Request) {})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := browse(t, server.URL)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{320, 1600} {
			p.do(t, screen{"side", width, 640, scheme}.show)
			if wide := evaluate[int64](t, p, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("the page is %d pixels wide on a screen of %d", wide, width)
			}
			if poor := evaluate[[]string](t, p, poorContrast); len(poor) > 0 {
				t.Errorf("%s: too little contrast: %q", scheme, poor)
			}
		}
		p.do(t, screen{"side", 794, 1123, scheme}.print)
		if pale := evaluate[[]string](t, p, paleOnPaper); len(pale) > 0 {
			t.Errorf("%s: too little contrast on paper: %q", scheme, pale)
		}
	}
}

// TestStructure checks for landmarks, one first-level heading, and names for
// controls.
func TestStructure(t *testing.T) {
	p := openPage(t, board.New(1))
	for script, want := range map[string]string{
		`document.documentElement.lang`: "en",
		`document.title`:                "Confidential Containers on AKS",
		`[...document.querySelectorAll("h1")].map((e) => e.innerText)+""`:                                                                        welcome,
		`["main", "header"].map((e) => document.querySelectorAll(e).length) + ""`:                                                                "1,1",
		`[...document.querySelectorAll("section")].map((s) => document.getElementById(s.getAttribute("aria-labelledby")).localName) + ""`:        "h2,h2,h2",
		`[...document.querySelectorAll("button, a")].every((e) => e.innerText.trim() !== "") + ""`:                                               "true",
		`[...document.querySelectorAll("[role=status], [aria-live=polite]")].length + ""`:                                                        "3",
		`[...document.querySelectorAll("[id]")].length === new Set([...document.querySelectorAll("[id]")].map((e) => e.id)).size ? "" : "twice"`: "",
	} {
		if got := evaluate[string](t, p, script); got != want {
			t.Errorf("%s is %q, want %q", script, got, want)
		}
	}
}

// TestPause pauses and resumes the page by keyboard, and checks that nothing is
// lost.
func TestPause(t *testing.T) {
	b := board.New(10)
	b.Add(board.Message{Offset: 1, Value: []byte("one")})
	p := openPage(t, b)
	p.reads(t, "Live", "one")
	p.do(t, chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	p.reads(t, "Paused")
	b.Add(board.Message{Offset: 2, Value: []byte("two")})
	other := browse(t, evaluate[string](t, p, "location.href"))
	other.reads(t, "Live", "two")
	b.Add(board.Message{Offset: 3, Value: []byte("three")})
	other.reads(t, "three")
	if strings.Contains(evaluate[string](t, p, "document.body.innerText"), "two") {
		t.Error("the page updates while it is paused")
	}
	p.do(t, chromedp.KeyEvent(kb.Enter))
	p.reads(t, "Live", "two", "three")
	if n := evaluate[int](t, p, `document.querySelectorAll("#entries > li").length`); n != 3 {
		t.Errorf("there are %d messages, want 3", n)
	}
}

// TestHistory checks that the page keeps the last hundred messages, newest
// first, and executes none of them.
func TestHistory(t *testing.T) {
	b := board.New(100)
	p := openPage(t, b)
	p.reads(t, "No message has arrived", "Live")
	for i := range int64(150) {
		b.Add(board.Message{Offset: i, Value: fmt.Appendf(nil, `<img src=x onerror="document.title='broken'">%d.`, i)})
	}
	p.reads(t, ">149.")
	state := evaluate[string](t, p, `(() => { const all = document.querySelectorAll("#entries > li");
		return [all.length, all[0].id, all[99].id, document.title, document.querySelectorAll("#entries img").length].join(" "); })()`)
	if state != "100 p0-o149 p0-o50 Confidential Containers on AKS 0" {
		t.Errorf("got %q", state)
	}
}
