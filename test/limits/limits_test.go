package limits

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/internal/jose/jwk"
	"skr/internal/jose/jws"
	"skr/internal/sidecar/keyprovider"
	"skr/internal/strictjson"
	"skr/releasepolicy"
)

var inputs = flag.Int("inputs", 60, "hostile inputs for each parser; docs/performance.md reports 680, ten thousand in all")

const (
	maxHeap  = 64 << 20 // maximum heap in bytes, garbage included
	maxRatio = 128      // bytes allocated per byte of input: encoding/json needs 107 for one-digit numbers
)

// parser is a parser with the size of the largest input that it reads.
type parser struct {
	size  int
	parse func([]byte) error
}

func discard[T any](parse func([]byte) (T, error)) func([]byte) error {
	return func(text []byte) error { _, err := parse(text); return err }
}

var parsers = map[string]parser{
	"JSON object":         {1 << 20, discard(strictjson.Parse)},
	"JWK":                 {256 << 10, discard(jwk.Parse)},
	"JWK set":             {1 << 20, discard(jwk.ParseSet)},
	"JWS":                 {256 << 10, func(text []byte) error { _, err := jws.Parse(string(text), 256<<10); return err }},
	"report":              {1184, discard(snp.Parse)},
	"certificate chain":   {64 << 10, discard(vcek.ParsePEM)},
	"THIM document":       {64 << 10, discard(vcek.ParseTHIM)},
	"UVM endorsement":     {64 << 10, discard(uvm.ParseEndorsement)},
	"HCL report":          {64 << 10, discard(vtpm.ParseHCL)},
	"quote":               {4 << 10, discard(vtpm.ParseQuote)},
	"event log":           {1 << 20, discard(vtpm.ParseEventLog)},
	"release policy":      {200 << 10, discard(releasepolicy.Parse)},
	"key annotation":      {256 << 10, discard(keyprovider.ParseAnnotation)},
	"key provider unwrap": {256 << 10, discard(keyprovider.ParseUnwrap)},
	"key provider wrap":   {256 << 10, discard(keyprovider.ParseWrap)},
}

// filled repeats the middle until the text has the size.
func filled(size int, begin, middle, end string) []byte {
	n := max(0, size-len(begin)-len(end)) / max(1, len(middle))
	return []byte(begin + strings.Repeat(middle, n) + end)
}

// numbered is like filled, but numbers each middle, so that no two are equal.
func numbered(size int, begin, middle, end string) []byte {
	var text bytes.Buffer
	text.WriteString(begin)
	for i := 0; text.Len()+len(middle)+10+len(end) < size; i++ {
		fmt.Fprintf(&text, middle, i)
	}
	text.WriteString(end)
	return text.Bytes()
}

// hostile returns hostile inputs of a size, by what they try.
func hostile(size int) map[string][]byte {
	blob := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x30}, size))
	cbor := binary.BigEndian.AppendUint32([]byte{0xd2, 0x84, 0x9a}, 1<<31) // an array that claims two billion items
	return map[string][]byte{
		"zeros":         make([]byte, size),
		"ones":          bytes.Repeat([]byte{0xff}, size),
		"depth":         filled(size, "", "[", ""),
		"deep objects":  filled(size, "", `{"a":`, ""),
		"numbers":       filled(size, `{"a":[0`, ",0", "]}"),
		"empty objects": filled(size, `{"keys":[{}`, ",{}", "]}"),
		"members":       numbered(size, `{"z":0`, `,"%d":0`, "}"),
		"equal members": filled(size, `{"a":0`, `,"a":0`, "}"),
		"escapes":       filled(size, `{"a":"`, `\u0000`, `"}`),
		"keys":          filled(size, `{"keys":[{"kty":"RSA"}`, `,{"kty":"RSA","n":"AQ","e":"AQAB"}`, "]}"),
		"one number":    filled(size, `{"n":1`, "0", "}"),
		"conditions": filled(size, `{"version":"1.0.0","anyOf":[{"authority":"https://a","allOf":[{"claim":"a","equals":"b"}`,
			`,{"claim":"a","equals":"b"}`, "]}]}"),
		"nested any":       filled(size, `{"version":"1.0.0","anyOf":[{"authority":"https://a",`, `"allOf":[{`, ""),
		"dots":             filled(size, "", ".", ""),
		"base64":           []byte("e30." + blob[:max(0, size-6)] + ".x"),
		"PEM":              filled(size, "", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", ""),
		"PEM in JSON":      filled(size, `{"vcekCert":"`, `-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n`, `","certificateChain":""}`),
		"lengths that lie": append(cbor, make([]byte, max(0, size-len(cbor)))...),
		"CBOR arrays":      bytes.Repeat([]byte{0x9f}, size),
		"annotation":       filled(size, `{"op":"keyunwrap","keyunwrapparams":{"dc":null,"annotation":"`, "AAAA", `"}}`),
	}
}

// measured returns a figure of the runtime.
func measured(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

const (
	heapNow   = "/memory/classes/heap/objects:bytes" // live objects, and dead ones that are not yet swept
	allocated = "/gc/heap/allocs:bytes"
)

func TestHostileInputs(t *testing.T) {
	for name, p := range parsers {
		t.Run(name, func(t *testing.T) {
			shapes := hostile(p.size)
			runtime.GC()
			base := measured(heapNow) // the inputs and the test itself
			var peak uint64
			for i := 0; i < *inputs; i += len(shapes) {
				for shape, input := range shapes {
					if len(input) > p.size {
						t.Fatalf("%s has %d bytes", shape, len(input))
					}
					before := measured(allocated)
					err := p.parse(input)
					if used := measured(allocated) - before; used > uint64(maxRatio*len(input)+64<<10) {
						t.Errorf("%s: %d bytes allocated for %d of input (%v)", shape, used, len(input), err)
					}
					peak = max(peak, measured(heapNow))
				}
			}
			t.Logf("%d inputs of %d bytes: the heap grew by %.1f MB at most", *inputs, p.size, float64(peak-min(peak, base))/1e6)
			if peak-min(peak, base) > maxHeap {
				t.Errorf("the heap grew by %d bytes", peak-base)
			}
		})
	}
}

// TestLargerInputsAreRefused checks that each parser refuses a larger input
// before it does anything with it.
func TestLargerInputsAreRefused(t *testing.T) {
	for name, p := range parsers {
		input := filled(4*p.size, `{"a":[0`, ",0", "]}")
		before := measured(allocated)
		err := p.parse(input)
		if used := measured(allocated) - before; err == nil || used > uint64(2*len(input)+64<<10) {
			t.Errorf("%s: %d bytes allocated for %d of input, %v", name, used, len(input), err)
		}
	}
}
