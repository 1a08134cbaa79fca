package check

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

// palettes are the sixteen colours of terminals: VGA (the Linux console), xterm, Windows Terminal
// (Campbell) and GNOME.
var palettes = map[string][16]int{
	"VGA": {
		0x000000, 0xaa0000, 0x00aa00, 0xaa5500, 0x0000aa, 0xaa00aa, 0x00aaaa, 0xaaaaaa,
		0x555555, 0xff5555, 0x55ff55, 0xffff55, 0x5555ff, 0xff55ff, 0x55ffff, 0xffffff,
	},
	"xterm": {
		0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5,
		0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
	},
	"Campbell": {
		0x0c0c0c, 0xc50f1f, 0x13a10e, 0xc19c00, 0x0037da, 0x881798, 0x3a96dd, 0xcccccc,
		0x767676, 0xe74856, 0x16c60c, 0xf9f1a5, 0x3b78ff, 0xb4009e, 0x61d6d6, 0xf2f2f2,
	},
	"GNOME": {
		0x171421, 0xc01c28, 0x26a269, 0xa2734c, 0x12488b, 0xa347ba, 0x2aa1b3, 0xd0cfcc,
		0x5e5c64, 0xf66151, 0x33da7a, 0xe9ad0c, 0x2a7bde, 0xc061cb, 0x33c7de, 0xffffff,
	},
}

// TestColoursAreReadable checks that each outcome has a contrast of 4.5:1 (WCAG 2.2, 1.4.3),
// whatever the terminal's own colours are: each sets both colours.
func TestColoursAreReadable(t *testing.T) {
	for outcome, sequence := range colours {
		letters, behind := -1, -1
		for code := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(sequence, "\x1b["), "m"), ";") {
			n, err := strconv.Atoi(code)
			switch {
			case err != nil:
				t.Fatal(err)
			case n >= 30 && n <= 37:
				letters = n - 30
			case n >= 90 && n <= 97:
				letters = n - 90 + 8
			case n >= 40 && n <= 47:
				behind = n - 40
			case n >= 100 && n <= 107:
				behind = n - 100 + 8
			}
		}
		if letters < 0 || behind < 0 {
			t.Errorf("outcome %v sets %q: not both colours", outcome, sequence)
			continue
		}
		for name, palette := range palettes {
			if c := contrast(palette[letters], palette[behind]); c < 4.5 {
				t.Errorf("outcome %v has a contrast of %.2f on %s", outcome, c, name)
			}
		}
	}
}

func contrast(a, b int) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(colour int) (sum float64) {
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(colour>>(16-8*i)&0xff) / 255
		if c <= 0.04045 {
			sum += weight * c / 12.92
		} else {
			sum += weight * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return sum
}
