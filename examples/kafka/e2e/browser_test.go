package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"skr/test/tool"
)

const (
	patience  = 90 * time.Second
	pollEvery = 100 * time.Millisecond
)

// screen is a browser window; sizes are in pixels.
type screen struct {
	name          string
	width, height int64
	scheme        string
}

var screens = []screen{
	{"desktop", 1280, 900, "light"},
	{"desktop-dark", 1280, 900, "dark"},
	{"phone", 390, 844, "light"},
	{"phone-dark", 390, 844, "dark"},
}

// show shows the page on that screen, without animations.
func (s screen) show(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	return s.on(ctx, t, "screen")
}

// print shows the page as it is printed on paper of that size.
func (s screen) print(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	return s.on(ctx, t, "print")
}

func (s screen) on(ctx context.Context, t *chromedp.Target, medium string) (chromedp.Void, error) {
	if _, err := chromedp.EmulateViewport(s.width, s.height)(ctx, t); err != nil {
		return chromedp.Void{}, err
	}
	media := emulation.SetEmulatedMediaParams{Media: medium, Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: s.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, media)
	return chromedp.Void{}, err
}

// browser has one page open.
type browser struct{ ctx context.Context }

// browse opens a page in headless Chromium, which ends with the test. Messages
// on the page's console fail the test.
func browse(t *testing.T, url string) *browser {
	t.Helper()
	tool.Need(t, "chromium", "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocated, cancelAllocator := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(cancelAllocator)
	ctx, cancel := chromedp.NewContext(allocated)
	b := &browser{ctx}
	console, read := chromedp.Console(ctx), make(chan struct{})
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits, so that the directory can be removed
		cancel()
		<-read
	})
	go func() {
		defer close(read)
		for message, err := range console {
			if err != nil {
				return
			}
			if message.Type == "error" || message.IsException() {
				t.Errorf("the page's console: %s", message)
			}
		}
	}()
	b.do(t, chromedp.Navigate(url))
	return b
}

func (b *browser) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// evaluate evaluates JavaScript in the page.
func evaluate[T any](t *testing.T, b *browser, script string) T {
	t.Helper()
	result, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// reads waits until the page visibly contains each of the texts.
func (b *browser) reads(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		_, err := chromedp.Run(b.ctx, chromedp.PollFunction[chromedp.Void](`(text) => document.body.innerText.includes(text)`,
			chromedp.WithPollingArgs(text), chromedp.WithPollingTimeout(patience), chromedp.WithPollingInterval(pollEvery)))
		if err != nil {
			t.Fatalf("the page does not show %q: %v\n%s", text, err, evaluate[string](t, b, "document.body.innerText"))
		}
	}
}

// photograph saves pictures of the page on each screen in the test's artifacts
// (go test -artifacts keeps them).
func (b *browser) photograph(t *testing.T) {
	t.Helper()
	for _, screen := range screens {
		b.do(t, screen.show)
		picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.ArtifactDir(), screen.name+".png")
		if err := os.WriteFile(path, picture, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Logf("screenshot: %s", path)
	}
}
