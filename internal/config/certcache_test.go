package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const ownIMDS = "http://169.254.169.254" + thimPath

// described returns the places as "from URL" or "from: error".
func described(caches []CertificateCache) (texts []string) {
	for _, c := range caches {
		if c.Err != nil {
			texts = append(texts, fmt.Sprintf("%s: %v", c.From, c.Err))
		} else {
			texts = append(texts, c.From+" "+c.URL)
		}
	}
	return texts
}

func cachesOf(t *testing.T, env Environment) []string {
	t.Helper()
	s, _, err := Load(nil, env)
	if err != nil {
		t.Fatal(err)
	}
	return described(s.CertificateCaches())
}

// TestCertificateCaches checks which places are asked, in which order.
func TestCertificateCaches(t *testing.T) {
	const (
		virtual = "http://169.254.128.1:2377" + thimPath
		imds    = "imds_url " + ownIMDS
	)
	unset := "VN2_THIM_ENDPOINT: the placeholder was not replaced: only virtual nodes replace it, " +
		"and only in a container's env in the manifest"
	const fabric, vn2 = "Fabric_NodeIPOrFQDN http://10.0.0.4:2377" + thimPath, "VN2_THIM_ENDPOINT " + virtual
	for name, test := range map[string]struct {
		env  Environment
		want []string
	}{
		"a machine":             {nil, []string{imds}},
		"ACI":                   {Environment{FabricNode: "10.0.0.4"}, []string{fabric, imds}},
		"ACI with a name":       {Environment{FabricNode: "node-1.contoso"}, []string{"Fabric_NodeIPOrFQDN http://node-1.contoso:2377" + thimPath, imds}},
		"ACI with IPv6":         {Environment{FabricNode: "fd00::1"}, []string{"Fabric_NodeIPOrFQDN http://[fd00::1]:2377" + thimPath, imds}},
		"virtual nodes":         {Environment{VirtualNodeTHIM: virtual}, []string{vn2, imds}},
		"virtual nodes, IPv6":   {Environment{VirtualNodeTHIM: "https://[fd00::1]" + thimPath}, []string{"VN2_THIM_ENDPOINT https://[fd00::1]" + thimPath, imds}},
		"an unreplaced value":   {Environment{VirtualNodeTHIM: VirtualNodePlaceholder}, []string{unset, imds}},
		"the other placeholder": {Environment{VirtualNodeTHIM: "===VIRTUALNODE2.CC.THIM.ADDRESS==="}, []string{unset, imds}},
		"both":                  {Environment{FabricNode: "10.0.0.4\n", VirtualNodeTHIM: virtual}, []string{fabric, vn2, imds}},
		"both, unreplaced":      {Environment{FabricNode: "10.0.0.4", VirtualNodeTHIM: VirtualNodePlaceholder}, []string{fabric, unset, imds}},
		"empty variables":       {Environment{FabricNode: " ", VirtualNodeTHIM: ""}, []string{imds}},
		"another IMDS":          {Environment{"SKR_IMDS_URL": "http://127.0.0.1:1"}, []string{"imds_url http://127.0.0.1:1" + thimPath}},
		"thim_url":              {Environment{"SKR_THIM_URL": "http://a/x", FabricNode: "10.0.0.4", VirtualNodeTHIM: virtual}, []string{"thim_url http://a/x"}},
		"no thim":               {Environment{"SKR_CERTIFICATE_SOURCES": "host,kds", FabricNode: "10.0.0.4"}, nil},
		"LocalTHIM without an endpoint": {
			Environment{"SkrSideCarArgs": "eyJjZXJ0Y2FjaGUiOnsiZW5kcG9pbnRfdHlwZSI6IkxvY2FsVEhJTSJ9fQ==", FabricNode: "10.0.0.4"}, []string{fabric, imds},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, cachesOf(t, test.env)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCertificateCachesRefuse checks that the environment cannot lead to anything but THIM's path
// on a host, and that the reason does not repeat the value, which may hold a password.
func TestCertificateCachesRefuse(t *testing.T) {
	const secret = "s3cret"
	wrong := map[string][]string{
		FabricNode: {
			"http://10.0.0.4", "10.0.0.4:80", "10.0.0.4/x", "user:" + secret + "@host", "a b", "host?x", "host#x", "host\\x", "10.0.0.4\nx", "[fd00::1]",
			"fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "2130706433", "127.1", "0x7f.1", "-host", "host-", "a..b", "host.", "%31", "ho\x00st", "hóst", ".",
			strings.Repeat("a", 64), strings.Repeat("a.", 127) + "aa",
		},
		VirtualNodeTHIM: {
			"169.254.128.1:2377", "//host" + thimPath, "ftp://host" + thimPath, "file://" + thimPath, "http:" + thimPath, "http://" + thimPath,
			"http://user:" + secret + "@host" + thimPath, "http://user@host" + thimPath, "http://host" + thimPath + "?x=" + secret, "http://host" + thimPath + "?",
			"http://host" + thimPath + "#x", "http://host/", "http://host", "http://host" + thimPath + "/..", "http://host/x" + thimPath, "http://0.0.0.0" + thimPath,
			"http://host:99999" + thimPath, "http://host:x" + thimPath, "http://2130706433" + thimPath, "http://[fe80::1%25eth0]" + thimPath,
			"http://a b" + thimPath, "http://host\r\nX: y" + thimPath, "http://host" + strings.ReplaceAll(thimPath, "T", "%54") + "/",
			VirtualNodePlaceholder + " ", " " + VirtualNodePlaceholder,
		},
	}
	for from, values := range wrong {
		for _, value := range values {
			got := cachesOf(t, Environment{from: value})
			if len(got) != 2 || !strings.HasPrefix(got[0], from+": ") || got[1] != "imds_url "+ownIMDS {
				t.Errorf("%s=%q leads to %q", from, value, got)
			}
			if strings.Contains(strings.Join(got, ""), secret) {
				t.Errorf("%s=%q is repeated: %q", from, value, got)
			}
		}
	}
}

// FuzzNodeCaches checks that each address is THIM's path on one host, and that the others are refused
// without repeating them.
func FuzzNodeCaches(f *testing.F) {
	for _, value := range []string{"10.0.0.4", "fd00::1", "node-1.contoso", "a/b", "u:p@h", "http://169.254.128.1:2377" + thimPath, VirtualNodePlaceholder} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, cache := range nodeCaches(Environment{FabricNode: value, VirtualNodeTHIM: value}) {
			if cache.Err != nil {
				if cache.URL != "" {
					t.Errorf("%s=%q leads to %q in spite of %v", cache.From, value, cache.URL, cache.Err)
				}
				continue
			}
			parsed, err := url.Parse(cache.URL)
			if err != nil || parsed.Path != thimPath || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" || parsed.Host == "" {
				t.Errorf("%s=%q leads to %q", cache.From, value, cache.URL)
			}
			if host := parsed.Hostname(); !strings.Contains(value, host) && net.ParseIP(host) == nil {
				t.Errorf("%s=%q leads to the host %q", cache.From, value, host)
			}
		}
	})
}

// TestUnreplacedThimURL checks that the setting refuses the placeholder with one reason.
func TestUnreplacedThimURL(t *testing.T) {
	_, _, err := Load(nil, Environment{"SKR_THIM_URL": VirtualNodePlaceholder})
	if err == nil || !strings.Contains(err.Error(), "the placeholder was not replaced") || !strings.Contains(err.Error(), "SKR_THIM_URL") {
		t.Errorf("got %v", err)
	}
}

// TestRemarksOnCertificates checks what `skr config` says.
func TestRemarksOnCertificates(t *testing.T) {
	s, _, err := Load(nil, Environment{FabricNode: "10.0.0.4", VirtualNodeTHIM: VirtualNodePlaceholder})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(s.Remarks(), "\n"), "\n")
	if slices.ContainsFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "# ") }) {
		t.Errorf("not only comments: %q", lines)
	}
	for _, want := range []string{
		"#   http://10.0.0.4:2377" + thimPath + ", because of Fabric_NodeIPOrFQDN", "#   none from VN2_THIM_ENDPOINT: the placeholder",
		"#   " + ownIMDS + ", because of imds_url",
	} {
		if !strings.Contains(s.Remarks(), want) {
			t.Errorf("%q lacks %q", s.Remarks(), want)
		}
	}
	for _, quiet := range []Environment{{"SKR_THIM_URL": "http://a/b"}, {"SKR_CERTIFICATE_SOURCES": "kds"}} {
		s, _, err := Load(nil, quiet)
		if err != nil || s.Remarks() != "" {
			t.Errorf("%v: %q, %v", quiet, s.Remarks(), err)
		}
	}
}

// TestDocumentedCertificateCaches compares the table of docs/configuration.md with the names.
func TestDocumentedCertificateCaches(t *testing.T) {
	documented(t, "| from | place | where |\n|---|---|---|\n| `"+FabricNode+"` | `http://HOST:"+fabricPort+thimPath+"` | ")
	documented(t, "| `"+VirtualNodeTHIM+"` | its value | virtual nodes, which replace `"+VirtualNodePlaceholder+"` in the manifest |\n| `imds_url` | ")
	documented(t, "  - name: "+VirtualNodeTHIM+"\n    value: "+VirtualNodePlaceholder+"\n")
}

// documented fails unless docs/configuration.md has the text.
func documented(t *testing.T, text string) {
	t.Helper()
	document, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), text) {
		t.Errorf("docs/configuration.md must contain:\n%s", text)
	}
}

// TestDocumentedDropIns checks that docs/configuration.md has a row for each name of the reference
// sidecar that sets a field.
func TestDocumentedDropIns(t *testing.T) {
	for variable, flag := range DropInNames {
		if name := FieldName(flag); strings.HasPrefix(variable, "Log") {
			documented(t, "| `"+variable+"`, `-"+strings.ToLower(variable)+"` | `"+name+"`")
		} else {
			documented(t, "| `"+variable+"` | `"+name+"` |\n")
		}
	}
	for _, flag := range []string{"base64", "port", "server_type"} {
		if _, known := DropInFlags[flag]; !known {
			t.Errorf("there is no flag -%s", flag)
		}
		documented(t, "`, `-"+flag+"`")
	}
}
