package cli

import "testing"

func TestReflow(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"one two\nthree four five", "one two\nthree four\nfive"},
		{"one\n\ntwo three four", "one\n\ntwo three\nfour"},
		{"see:\n  an example that stays\nthe end", "see:\n  an example that stays\nthe end"},
		{"a-word-that-is-too-long b", "a-word-that-is-too-long\nb"},
		{"ä ö ü ß é è", "ä ö ü ß é\nè"},
		{"end\n\n", "end"},
	} {
		if got := reflow(test.text, 10); got != test.want {
			t.Errorf("%q becomes %q, want %q", test.text, got, test.want)
		}
	}
}

func TestHang(t *testing.T) {
	if got, want := "  name "+hang("one two three four", 7, 16), "  name one two\n       three\n       four"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBreakLists(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"short\n", "short\n"},
		{"  a,b,c,d,e,f\nend\n", "  a,b,c,d,\n  e,f\nend\n"},
		{"  too-long-for-a-line\n", "  too-long-for-a-line\n"},
		{"  too-long-for-a-line,b,c\n", "  too-long-for-a-line,b,c\n"},
	} {
		if got := breakLists(test.text, 10); got != test.want {
			t.Errorf("%q becomes %q, want %q", test.text, got, test.want)
		}
	}
}
