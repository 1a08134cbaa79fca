package page_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"skr/examples/kafka/board"
	"skr/examples/kafka/page"
)

const hostile = `<script>alert(1)</script>"'&`

func serve(t *testing.T, b *board.Board) string {
	t.Helper()
	server := httptest.NewServer(page.Handler(b, page.About{Topic: "t", Key: "k", Vault: "v.example", Authority: "a.example"}))
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestEscapes(t *testing.T) {
	b := board.New(3)
	b.Add(board.Message{Value: []byte(hostile)})
	b.Refused(hostile, hostile, hostile)
	b.Broker(hostile)
	_, body := get(t, serve(t, b))
	if strings.Contains(body, "<script>alert") || strings.Count(body, "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;") != 6 {
		t.Errorf("the page has\n%s", body)
	}
}

// TestPolicy checks that nothing is inline, so that the policy can forbid it,
// and that every file exists.
func TestPolicy(t *testing.T) {
	url := serve(t, board.New(3))
	response, body := get(t, url)
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(response.Header.Get("Content-Security-Policy"), want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
	if regexp.MustCompile(`<script(>| [^>]*[^r]>[^<])|<style|style=|\son[a-z]+=|https?://`).MatchString(body) {
		t.Errorf("something is inline or on another host:\n%s", body)
	}
	files := regexp.MustCompile(`(?:src|href)="(static/[^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(files) != 3 {
		t.Fatalf("the page names %d files, want 3", len(files))
	}
	for _, file := range files {
		if response, _ := get(t, url+"/"+file[1]); response.StatusCode != http.StatusOK || response.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s", file[1], response.Status)
		}
	}
}

func TestTexts(t *testing.T) {
	b := board.New(3)
	url := serve(t, b)
	_, body := get(t, url)
	for _, want := range []string{"Welcome to Confidential Containers on AKS!", "Encrypted Kafka Message:",
		"No message has arrived in t yet", "Decryption is not active", "no answer has arrived yet"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	b.Refused("release rejected: no", "release_rejected", "r-1")
	if _, body = get(t, url); !strings.Contains(body, `<code id="code">release_rejected</code>`) || !strings.Contains(body, `<code id="request-id">r-1</code>`) {
		t.Errorf("the page does not show the refusal:\n%s", body)
	}
}

func TestRoutes(t *testing.T) {
	url := serve(t, board.New(3))
	for path, want := range map[string]int{"/nothing": 404, "/static/none": 404, "/index.html": 404} {
		if response, _ := get(t, url+path); response.StatusCode != want {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	response, err := http.Post(url, "text/plain", nil)
	if err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", response, err)
	}
}

// browser reads events.
type browser struct {
	lines *bufio.Scanner
	close func()
}

func open(t *testing.T, url string, header ...string) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(header) == 2 {
		request.Header.Set(header[0], header[1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return &browser{bufio.NewScanner(response.Body), cancel}
}

// next returns the next event's name, data and id, if it has one.
func (b *browser) next(t *testing.T) (name, data, id string) {
	t.Helper()
	for b.lines.Scan() {
		field, value, _ := strings.Cut(b.lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			return name, value, id
		}
	}
	t.Fatalf("the stream ended: %v", b.lines.Err())
	return "", "", ""
}

func TestEvents(t *testing.T) {
	b := board.New(3)
	b.Add(board.Message{Offset: 1, Value: []byte("one")})
	url := serve(t, b) + "/events"
	first := open(t, url+"?since=0")
	if name, _, _ := first.next(t); name != "status" {
		t.Errorf("the first event is %s", name)
	}
	_, data, id := first.next(t)
	if !strings.Contains(data, `"text":"one"`) || id == "" {
		t.Errorf("the next event is %s with id %q", data, id)
	}
	b.Add(board.Message{Offset: 2, Value: []byte(hostile)})
	name, data, last := first.next(t)
	if name != "entry" || !strings.Contains(data, `\u003cscript\u003e`) || last == id {
		t.Errorf("the next event is %s %s", name, data)
	}
	// It reconnects and gets only what it missed.
	first.close()
	b.Broker("gone")
	if name, data, _ := open(t, url+"?since=0", "Last-Event-ID", last).next(t); name != "status" || !strings.Contains(data, `"broker":"gone"`) {
		t.Errorf("after the reconnect: %s %s", name, data)
	}
}

// TestClosedTab checks that a closed tab, or a browser that reads nothing,
// delays no other browser.
func TestClosedTab(t *testing.T) {
	b := board.New(3)
	url := serve(t, b) + "/events"
	open(t, url) // reads nothing
	leaving := open(t, url)
	leaving.next(t)
	leaving.close()
	staying := open(t, url)
	staying.next(t)
	for i := range int64(50) {
		b.Add(board.Message{Offset: i, Value: []byte("text")})
	}
	for {
		if _, data, _ := staying.next(t); strings.Contains(data, `"offset":49`) {
			return
		}
	}
}

func TestTooManyPages(t *testing.T) {
	url := serve(t, board.New(1)) + "/events"
	for range 256 {
		open(t, url).next(t)
	}
	response, body := get(t, url)
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("got %s %s", response.Status, body)
	}
}

// TestServeStops checks that the streams end with the program and do not delay
// its end.
func TestServeStops(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- page.Serve(ctx, listener, board.New(1), page.About{}) }()
	open(t, "http://"+listener.Addr().String()+"/events").next(t)
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
