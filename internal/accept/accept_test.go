package accept

import "testing"

func TestQuality(t *testing.T) {
	const media = "application/json"
	for header, want := range map[string]int{
		"":                                      0,
		"application/json":                      1000,
		"APPLICATION/JSON;Q=0.5":                500,
		"*/*":                                   1000,
		"*/*;q=0.1, application/*;q=0.2":        200,
		"application/json;q=0.1, */*":           100,
		"application/json;q=0":                  0,
		"application/json;q=1.001":              0,
		"application/json;q=-1":                 0,
		"application/json;q=NaN":                0,
		"application/json;q=1e-1":               0,
		"application/json;charset=utf-8":        0,
		"text/html, *; q=.2":                    200,
		"json":                                  0,
		"application/json;q=\"0.5\"":            500,
		"text/plain":                            0,
		",, application/json ,;":                1000,
		"application/json;q=0.3, a/b;x=\"c,d\"": 300,
	} {
		if got := Parse([]string{header}).Quality(media); got != want {
			t.Errorf("%q: %d, want %d", header, got, want)
		}
	}
	if got := Parse([]string{"text/plain", media}).Quality(media); got != MaxQuality {
		t.Errorf("two headers: %d", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, header := range []string{"*/*", "text/html, *; q=.2, */*; q=.2", "a/b;q=1.5", `a/b;x="c,d"`, ",,;q=1", "application/*;q=0.001"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		ranges := Parse([]string{header})
		for _, media := range []string{"application/json", "text/plain", ""} {
			if quality := ranges.Quality(media); quality < 0 || quality > MaxQuality {
				t.Errorf("the quality of %q is %d", media, quality)
			}
		}
	})
}
