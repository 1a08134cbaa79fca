package verify

import (
	"os"
	"strings"
	"testing"
)

var (
	digest   = strings.Repeat("ab", 32)
	launched = strings.Repeat("cd", 48)
)

func TestParseBootPolicy(t *testing.T) {
	p, err := ParseBootPolicy([]byte("ak: hcl\nselection: [7, 4, 11]\npcrs:\n  4: " + digest + "\n  11: [" + digest + ", '" + strings.Repeat("0", 64) + "']\n" +
		"unlogged: [11]\nnonce: '" + strings.Repeat("01", 16) + "'\nmeasurements: [" + launched + "]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if p.AK() != AKFromHCL || !p.SecureBoot() || p.Selection().String() != "4, 7, 11" || p.Logged().String() != "4, 7" || len(p.Nonce()) != 16 {
		t.Errorf("%+v", p)
	}
	if got := p.Pinned(); len(got) != 2 || got[0] != 4 || !p.Allows(11, [32]byte{}) || p.Allows(4, [32]byte{}) || p.Allows(7, [32]byte{}) {
		t.Errorf("%+v", p)
	}
	if p.Measurements()[0].String() != launched {
		t.Errorf("%+v", p)
	}
}

// The policy in the document is valid.
func TestDocumentedBootPolicy(t *testing.T) {
	text, err := os.ReadFile("../../../docs/vtpm.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	p, err := ParseBootPolicy([]byte(example))
	if err != nil || len(p.Pinned()) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestBootPolicyStrictByDefault(t *testing.T) {
	p, err := ParseBootPolicy([]byte("# strict\n---\nak: certificate"))
	if err != nil {
		t.Fatal(err)
	}
	if !p.SecureBoot() || p.Selection().String() != "0-7" || p.Logged().String() != "7" || p.Nonce() != nil {
		t.Errorf("%+v", p)
	}
	p, err = ParseBootPolicy([]byte("ak: certificate\nsecure_boot: false\nselection: [4]"))
	if err != nil {
		t.Fatal(err)
	}
	if p.SecureBoot() || p.Logged() != 0 {
		t.Errorf("%+v", p)
	}
}

var refused = []struct{ name, text, wrong string }{
	{"nothing", "", "the document is present and empty"},
	{"unknown ak", "ak: ek", "ak: want hcl"},
	{"unknown field", "ak: hcl\nsecureboot: true", `member "secureboot" is unknown`},
	{"field twice", "ak: hcl\nak: hcl", `member "ak" is duplicated`},
	{"PCR twice", "ak: hcl\npcrs: {4: " + digest + ", 4: " + digest + "}", `member "4" is duplicated`},
	{"other capitals", "ak: hcl\nsecure_boot: true\nSecure_Boot: false", "differ in case only"},
	{"no PCRs", "ak: hcl\npcrs: {}", `member "pcrs" is present and empty`},
	{"no measurements", "ak: hcl\nmeasurements:", "measurements: want a list of 96"},
	{"no nonce", "ak: hcl\nnonce: ''", `nonce: "" is not hexadecimal`},
	{"merged", "ak: hcl\n<<: {secure_boot: false}", "merge keys"},
	{"second document", "ak: hcl\n---\nmeasurements: [ab]", "a second document"},
	{"two documents with a start marker", "# demands\n---\nak: hcl\n--- # more\nsecure_boot: true", "a second document"},
	{"text after the end", "ak: hcl\n...\nsecure_boot: true", "expected <document start>"},
	{"in capitals", "ak: hcl\nMeasurements: any", `must be written "measurements"`},
	{"no YAML", "ak: [", "did not find"},
	{"empty selection", "ak: hcl\nselection: []", `member "selection" is present and empty`},
	{"PCR 24", "ak: hcl\nselection: [24]", "there is no PCR 24"},
	{"no PCR 7", "ak: hcl\nselection: [4]", "secure boot needs PCR 7"},
	{"outside the selection", "ak: hcl\npcrs: {8: " + digest + "}", "PCR 8 is not in the selection, 0-7"},
	{"named PCR", "ak: hcl\npcrs: {four: " + digest + "}", "four"},
	{"short digest", "ak: hcl\npcrs: {4: abcd}", "PCR 4: parsing a digest"},
	{"no digest", "ak: hcl\npcrs: {4: []}", "PCR 4: it has no value"},
	{"number", "ak: hcl\npcrs: {4: 1}", "quote digits"},
	{"unlogged without a value", "ak: hcl\nunlogged: [5]", "unlogged: PCR 5 has no value"},
	{"unlogged PCR 24", "ak: hcl\nunlogged: [24]", "unlogged: "},
	{"short nonce", "ak: hcl\nnonce: abcd", "nonce: \"abcd\""},
	{"launched", "ak: hcl\nmeasurements: [ab]", "is not 96 hexadecimal digits"},
	{"no launched", "ak: hcl\nmeasurements: []", "or the word any"},
	{"null for measurements", "ak: hcl\nmeasurements:", "or the word any"},
	{"another word", "ak: hcl\nmeasurements: all", "or the word any"},
	{"any among others", "ak: hcl\nmeasurements: [any, " + launched + "]", "\"any\" is not 96 hexadecimal digits"},
	{"empty nonce", "ak: hcl\nnonce: ''", "nonce: "},
	{"null for a nonce", "ak: hcl\nnonce:", "nonce: "},
	{"no key", "ak: hcl\nid_keys: []", `member "id_keys" is present and empty`},
	{"no author's key", "ak: hcl\nauthor_keys: []", `member "author_keys" is present and empty`},
	{"key of unsigned guests", "ak: hcl\nid_keys: ['" + strings.Repeat("0", 96) + "']", "zeros stand for a guest that is not signed"},
	{"short key", "ak: hcl\nid_keys: [abcd]", "id_keys: \"abcd\" is not 96"},
	{"key without a report", "ak: certificate\nid_keys: [" + launched + "]", "ak: certificate has none"},
	{"any without a report", "ak: certificate\nmeasurements: any", "ak: certificate has none"},
	{"launched without a report", "ak: certificate\nmeasurements: [" + launched + "]", "ak: certificate has none"},
}

func TestRefused(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseBootPolicy([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.wrong)
			}
		})
	}
}

// A paravisor is identified by Azure's keys unless the policy says otherwise.
func TestIdentity(t *testing.T) {
	for _, c := range []struct {
		text         string
		measurements int
		any, signers bool
	}{
		{"ak: hcl", 0, false, false},
		{"ak: hcl\nmeasurements: any", 0, true, false},
		{"ak: hcl\nmeasurements: [" + launched + "]", 1, false, false},
		{"ak: hcl\nid_keys: [" + launched + "]", 0, false, true},
		{"ak: hcl\nauthor_keys: [" + launched + "]\nmeasurements: any", 0, true, true},
	} {
		p, err := ParseBootPolicy([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Measurements()) != c.measurements || p.AnyMeasurement() != c.any || p.Signers() != c.signers {
			t.Errorf("%q: %+v", c.text, p)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("ak: hcl\nsecure_boot: false\npcrs:\n  4: " + digest)
	for _, c := range refused {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseBootPolicy([]byte(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("the error is not one line: %q", err)
			}
			return
		}
		if p.Logged()&^p.Selection() != 0 || p.Selection() == 0 {
			t.Fatalf("%+v", p)
		}
	})
}
