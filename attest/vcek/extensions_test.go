package vcek

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/attest/snp"
)

func extensionAt(value []byte, place ...int) pkix.Extension {
	return pkix.Extension{Id: append(slices.Clone(amdArc), place...), Value: value}
}

func integer(n byte) []byte { return []byte{2, 1, n} }
func ia5(text string) []byte {
	return append([]byte{22, byte(len(text))}, text...)
}

// milanExtensions are the extensions of a Milan VCEK in their real order.
func milanExtensions() []pkix.Extension {
	return []pkix.Extension{
		{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte("not AMD's")},
		extensionAt(integer(0), 1),
		extensionAt(ia5("Milan-B0"), 2),
		extensionAt(integer(3), 3, 1),
		extensionAt(integer(0), 3, 2),
		extensionAt(integer(0), 3, 4),
		extensionAt(integer(8), 3, 3),
		extensionAt([]byte{2, 2, 0, 211}, 3, 8),
		extensionAt(bytes.Repeat([]byte{0xAB}, 64), 4),
	}
}

func turinExtensions() []pkix.Extension {
	return []pkix.Extension{
		extensionAt(integer(1), 1),
		extensionAt(ia5("Turin"), 2),
		extensionAt(integer(1), 3, 9),
		extensionAt(integer(3), 3, 1),
		extensionAt(integer(2), 3, 2),
		extensionAt(integer(5), 3, 3),
		extensionAt(integer(90), 3, 8),
		extensionAt(bytes.Repeat([]byte{0xAB}, 8), 4),
	}
}

// with replaces the extension with the same identifier or adds one.
func with(list []pkix.Extension, x pkix.Extension) []pkix.Extension {
	return append(without(list, x.Id[len(amdArc):]...), x)
}

func without(list []pkix.Extension, place ...int) []pkix.Extension {
	id := append(slices.Clone(amdArc), place...)
	return slices.DeleteFunc(list, func(x pkix.Extension) bool { return x.Id.Equal(id) })
}

func TestParseEndorsement(t *testing.T) {
	chip := func(n int) []byte { return bytes.Repeat([]byte{0xAB}, n) }
	milanLevels := snp.Components{Bootloader: 3, SNP: 8, Microcode: 211}
	vlek := with(without(milanExtensions(), 4), extensionAt(ia5("Azure"), 5))
	for _, test := range []struct {
		name string
		kind snp.SigningKey
		list []pkix.Extension
		want endorsement
	}{
		{"Milan", snp.VCEK, milanExtensions(), endorsement{snp.VCEK, snp.Milan, milanLevels, chip(64)}},
		{"Turin", snp.VCEK, turinExtensions(), endorsement{snp.VCEK, snp.Turin, snp.Components{FMC: 1, Bootloader: 3, TEE: 2, SNP: 5, Microcode: 90}, chip(8)}},
		{"VLEK", snp.VLEK, vlek, endorsement{snp.VLEK, snp.Milan, milanLevels, nil}},
		{"no CSP_ID", snp.VLEK, without(slices.Clone(vlek), 5), endorsement{snp.VLEK, snp.Milan, milanLevels, nil}},
		{"no version", snp.VCEK, without(milanExtensions(), 1), endorsement{snp.VCEK, snp.Milan, milanLevels, chip(64)}},
		{"another version", snp.VCEK, with(milanExtensions(), extensionAt(ia5("2.0"), 1)), endorsement{snp.VCEK, snp.Milan, milanLevels, chip(64)}},
		{"unknown ones", snp.VCEK, append(milanExtensions(), extensionAt(nil, 6), extensionAt(nil, 3, 10), extensionAt(nil, 3)),
			endorsement{snp.VCEK, snp.Milan, milanLevels, chip(64)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseEndorsement(test.kind, test.list)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(endorsement{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseEndorsementRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		kind  snp.SigningKey
		list  []pkix.Extension
		wrong string
	}{
		{"none", snp.VCEK, nil, "extension 2 is missing"},
		{"no product", snp.VCEK, without(milanExtensions(), 2), "extension 2 is missing"},
		{"no bootloader", snp.VCEK, without(milanExtensions(), 3, 1), "extension 3.1 is missing"},
		{"no TEE", snp.VCEK, without(milanExtensions(), 3, 2), "extension 3.2 is missing"},
		{"no SNP", snp.VCEK, without(milanExtensions(), 3, 3), "extension 3.3 is missing"},
		{"no microcode", snp.VCEK, without(milanExtensions(), 3, 8), "extension 3.8 is missing"},
		{"no FMC on Turin", snp.VCEK, without(turinExtensions(), 3, 9), "extension 3.9 is missing"},
		{"no hardware id", snp.VCEK, without(milanExtensions(), 4), "extension 4 is missing"},
		{"256", snp.VCEK, with(milanExtensions(), extensionAt([]byte{2, 2, 1, 0}, 3, 8)), "is 256"},
		{"-1", snp.VCEK, with(milanExtensions(), extensionAt([]byte{2, 1, 0xFF}, 3, 8)), "is -1"},
		{"not minimal", snp.VCEK, with(milanExtensions(), extensionAt([]byte{2, 2, 0, 8}, 3, 8)), "3.8 is not an INTEGER"},
		{"bare byte", snp.VCEK, with(milanExtensions(), extensionAt([]byte{8}, 3, 8)), "3.8 is not an INTEGER"},
		{"more after the INTEGER", snp.VCEK, with(milanExtensions(), extensionAt([]byte{2, 1, 8, 0}, 3, 8)), "3.8 is not an INTEGER"},
		{"a huge INTEGER", snp.VCEK, with(milanExtensions(), extensionAt(append([]byte{2, 20, 1}, make([]byte, 19)...), 3, 8)), "3.8 is not an INTEGER"},
		{"an unknown product", snp.VCEK, with(milanExtensions(), extensionAt(ia5("Rome"), 2)), "Rome"},
		{"product as UTF8String", snp.VCEK, with(milanExtensions(), extensionAt(append([]byte{12, 5}, "Milan"...), 2)), "2 is not an IA5String"},
		{"a short hardware id", snp.VCEK, with(milanExtensions(), extensionAt(make([]byte, 8), 4)), "4 has 8 bytes, want 64"},
		{"a long hardware id on Turin", snp.VCEK, with(turinExtensions(), extensionAt(make([]byte, 64), 4)), "4 has 64 bytes, want 8"},
		{"twice", snp.VCEK, append(milanExtensions(), extensionAt(integer(9), 3, 3)), "1.3.6.1.4.1.3704.1.3.3 appears twice"},
		{"duplicate unknown extension", snp.VCEK, append(milanExtensions(), extensionAt(nil, 9), extensionAt(nil, 9)), "appears twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseEndorsement(test.kind, test.list)
			checkError(t, err, test.wrong)
		})
	}
}

// The hardware id has no wrapping, even if it starts like an OCTET STRING.
func TestHardwareIDForms(t *testing.T) {
	id := bytes.Repeat([]byte{0xAB}, 64)
	id[0], id[1] = asn1.TagOctetString, 64
	for name, value := range map[string][]byte{"bare": id, "wrapped": append([]byte{asn1.TagOctetString, 64}, id...)} {
		got, err := parseEndorsement(snp.VCEK, with(milanExtensions(), extensionAt(value, 4)))
		if err != nil || !bytes.Equal(got.hwid, id) {
			t.Errorf("%s: %x, %v", name, got.hwid, err)
		}
	}
}
