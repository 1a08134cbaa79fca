package tdx_test

import (
	"testing"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

// A certificate without one of the values, or with one of another form, is no PCK certificate.
func TestPCKExtension(t *testing.T) {
	tcb := func(change func(map[int]any)) func(map[int]any) {
		return func(all map[int]any) { change(all[2].(map[int]any)) }
	}
	for _, c := range []struct {
		name   string
		change func(map[int]any)
		text   string
	}{
		{"none", func(map[int]any) {}, ""},
		{"more values", func(all map[int]any) { all[6], all[7] = make([]byte, 16), 1 }, ""},
		{"no PPID", func(all map[int]any) { delete(all, 1) }, "field 1 of the SGX extension is missing"},
		{"no PCEID", func(all map[int]any) { delete(all, 3) }, "field 3 of the SGX extension is missing"},
		{"no FMSPC", func(all map[int]any) { delete(all, 4) }, "field 4 of the SGX extension is missing"},
		{"a short FMSPC", func(all map[int]any) { all[4] = make([]byte, 5) }, "want an OCTET STRING of 6 bytes"},
		{"a number as FMSPC", func(all map[int]any) { all[4] = 1 }, "want an OCTET STRING of 6 bytes"},
		{"no TCB", func(all map[int]any) { delete(all, 2) }, "is not a sequence of pairs"},
		{"a number as TCB", func(all map[int]any) { all[2] = 1 }, "is not a sequence of pairs"},
		{"no component 1", tcb(func(all map[int]any) { delete(all, 1) }), "field 2.1 of the SGX extension is missing"},
		{"no component 16", tcb(func(all map[int]any) { delete(all, 16) }), "field 2.16 of the SGX extension is missing"},
		{"component 256", tcb(func(all map[int]any) { all[8] = 256 }), "want an INTEGER from 0 to 255"},
		{"a negative component", tcb(func(all map[int]any) { all[8] = -1 }), "want an INTEGER from 0 to 255"},
		{"a text as component", tcb(func(all map[int]any) { all[8] = "5" }), "want an INTEGER from 0 to 255"},
		{"no PCESVN", tcb(func(all map[int]any) { delete(all, 17) }), "field 2.17 of the SGX extension is missing"},
		{"a huge PCESVN", tcb(func(all map[int]any) { all[17] = 65536 }), "want an INTEGER from 0 to 65535"},
		{"no CPUSVN", tcb(func(all map[int]any) { delete(all, 18) }), "field 18 of the SGX extension is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachineOf(t, tdxtest.PlatformOptions{Extension: c.change})
			_, err := tdx.ParseQuote(m.raw(t, tdxtest.TD{}, tdxtest.QuoteOptions{}))
			var want error
			if c.text != "" {
				want = tdx.ErrMalformed
			}
			checkError(t, err, want, c.text)
		})
	}
}
