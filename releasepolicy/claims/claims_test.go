package claims

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"skr/test/samples"
)

func TestLookup(t *testing.T) {
	for path, want := range map[string]Kind{
		"x-ms-sevsnpvm-hostdata":                                      Hex,
		"x-ms-isolation-tee":                                          Object,
		"x-ms-isolation-tee.x-ms-sevsnpvm-hostdata":                   Hex,
		"x-ms-isolation-tee.x-ms-compliance-status":                   Text,
		"x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn":        Integer,
		"x-ms-azurevm-attested-pcr-values.pcr0":                       Base64,
		"x-ms-azurevm-attested-pcr-values.pcr23":                      Base64,
		"secureboot":                                                  Boolean,
		"x-ms-runtime.anything.at.all":                                Free,
		"x-ms-policy.mine":                                            Free,
		"x-ms-isolation-tee.x-ms-runtime.vm-configuration.vmUniqueId": Free,
		"exp": Time,
	} {
		if c, known := Lookup(path); !known || c.Kind != want || c.Name != path || c.Meaning == "" {
			t.Errorf("%s: %+v, known %v; want kind %s", path, c, known, want)
		}
	}
	for _, path := range []string{"", ".", "hostdata", "x-ms-sevsnpvm-hostdata.", "secureboot.x", "x-ms-azurevm-attested-pcr-values.pcr24", "X-MS-VER"} {
		if c, known := Lookup(path); known {
			t.Errorf("%q is known as %+v", path, c)
		}
	}
}

func TestPlatforms(t *testing.T) {
	for path, want := range map[string][]Platform{
		"iss":                                   everywhere,
		"x-ms-sevsnpvm-hostdata":                containers,
		"x-ms-isolation-tee.x-ms-sevsnpvm-vmpl": {CVM},
		"secureboot":                            machines,
	} {
		c, _ := Lookup(path)
		if !slices.Equal(c.Platforms, want) {
			t.Errorf("%s: %v, want %v", path, c.Platforms, want)
		}
		for _, p := range everywhere {
			if c.On(p) != slices.Contains(want, p) {
				t.Errorf("%s on %s: %v", path, p, c.On(p))
			}
		}
	}
	for _, p := range everywhere {
		if got, err := ParsePlatform(p.String()); got != p || err != nil {
			t.Errorf("%s: %v, %v", p, got, err)
		}
	}
	if p, err := ParsePlatform("ACI"); err == nil || !strings.Contains(err.Error(), "trusted-launch") {
		t.Errorf("ACI: %v, %v", p, err)
	}
}

func TestElsewhere(t *testing.T) {
	for top, below := range map[string]string{
		"x-ms-sevsnpvm-hostdata": "x-ms-isolation-tee.x-ms-sevsnpvm-hostdata",
		"x-ms-runtime.keys":      "x-ms-isolation-tee.x-ms-runtime.keys",
		"x-ms-isolation-tee":     "x-ms-isolation-tee.x-ms-isolation-tee",
	} {
		if Elsewhere(top) != below || Elsewhere(below) != top {
			t.Errorf("%q is elsewhere %q, and %q is %q", top, Elsewhere(top), below, Elsewhere(below))
		}
	}
}

func TestPublic(t *testing.T) {
	for path, want := range map[string]bool{
		"iss": true, "secureboot": true, "x-ms-attestation-type": true, "x-ms-compliance-status": true,
		"x-ms-sevsnpvm-hostdata": true, "x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable": true,
		"x-ms-azurevm-vmid": true, "x-ms-azurevm-attested-pcr-values.pcr7": true,
		"x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn": true,

		"": false, "unknown": false, "nonce": false, "jti": false, "x-ms-sevsnpvm-reportdata": false,
		"x-ms-runtime": false, "x-ms-runtime.keys": false, "x-ms-runtime.client-payload.nonce": false,
		"x-ms-inittime": false, "x-ms-inittime.a": false, "x-ms-policy": false, "x-ms-policy.iss": false,
		"x-ms-isolation-tee.x-ms-runtime.user-data": false, "x-ms-sevsnpvm-hostdata.below": false,
	} {
		if Public(path) != want {
			t.Errorf("%q: public is %v", path, !want)
		}
	}
}

func TestNearest(t *testing.T) {
	cases := []struct {
		path, want string
		on         []Platform
	}{
		{path: "x-ms-sevsnpvm-host-data", want: "x-ms-sevsnpvm-hostdata"},
		{path: "X-MS-SEVSNPVM-HOSTDATA", want: "x-ms-sevsnpvm-hostdata"},
		{path: "hostdata", want: "x-ms-sevsnpvm-hostdata"},
		{path: "x-ms-hostdta", want: "x-ms-sevsnpvm-hostdata"},
		{path: "x-ms-sevsnpvm-familyid", want: "x-ms-sevsnpvm-familyId"},
		{path: "x-ms-sevsnpvm-hostdata", want: "x-ms-isolation-tee.x-ms-sevsnpvm-hostdata", on: []Platform{CVM}},
		{path: "x-ms-isolation-tee.x-ms-sevsnpvm-hostdata", want: "x-ms-sevsnpvm-hostdata", on: []Platform{ACI}},
		{path: "x-ms-compliance-status", want: "x-ms-isolation-tee.x-ms-compliance-status", on: []Platform{CVM}},
		{path: "x-ms-isolation.x-ms-compliance-status", want: "x-ms-isolation-tee.x-ms-compliance-status"},
		{path: "x-ms-sevsnpvm-microcode", want: "x-ms-sevsnpvm-microcode-svn"},
		{path: "secure-boot", want: "secureboot"},
		{path: "x-ms-azurevm-secureboot", want: "secureboot"},
		{path: "x-ms-azurevm-attested-pcr-values.PCR4", want: "x-ms-azurevm-attested-pcr-values.pcr4"},
		{path: "x-ms-uvm-endorsement.x-ms-sevsnpvm-guestsvn", want: "x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn"},
		{path: "x-ms-sevsnpvm-is-debugable", want: "x-ms-sevsnpvm-is-debuggable"},
		{path: "x-ms-attestation-typ", want: "x-ms-attestation-type"},
		{path: "issuer"}, {path: ""}, {path: "sdk-test"}, {path: "my-own-claim"},
		{path: strings.Repeat("hostdata", 100)}, {path: strings.Repeat("x.", maxName) + "hostdata"},
	}
	for _, c := range cases {
		if got, found := Nearest(c.path, c.on...); got != c.want || found != (c.want != "") {
			t.Errorf("%q: %q, %v; want %q", c.path, got, found, c.want)
		}
	}
}

// The catalogue has every claim of the genuine tokens, with its platform and type.
func TestGenuineTokens(t *testing.T) {
	jwt := func(file string) []byte {
		claims, err := base64.RawURLEncoding.DecodeString(strings.Split(string(samples.Read(t, file)), ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		return claims
	}
	for name, sample := range map[string]struct {
		claims   []byte
		platform Platform
		prefix   string
	}{
		"aci":        {jwt("maa/aci-token.jwt"), ACI, ""},
		"endorsed":   {samples.Read(t, "maa/aci-claims-with-uvm-endorsement.json"), ACI, ""},
		"azureguest": {samples.Read(t, "maa/azureguest-claims-2022-windows.json"), CVM, ""},
	} {
		var claims map[string]any
		if err := json.Unmarshal(sample.claims, &claims); err != nil {
			t.Fatal(err)
		}
		checkClaims(t, name, sample.prefix, sample.platform, claims)
	}
}

func checkClaims(t *testing.T, name, prefix string, platform Platform, claims map[string]any) {
	t.Helper()
	for member, value := range claims {
		path := prefix + member
		c, known := Lookup(path)
		if !known || !c.On(platform) || !fits(c, value) {
			t.Errorf("%s: %s is %v, in the catalogue %v as %+v", name, path, value, known, c)
		}
		if nested, is := value.(map[string]any); is {
			checkClaims(t, name, path+".", platform, nested)
		}
		if text, is := value.(string); is && c.Values[platform] != nil && !slices.Contains(c.Values[platform], text) {
			t.Errorf("%s: %s is %q, none of %v", name, path, text, c.Values[platform])
		}
	}
}

func fits(c Claim, value any) bool {
	if c.Kind == Free {
		return true
	}
	switch value := value.(type) {
	case bool:
		return c.Kind == Boolean
	case float64:
		return c.Kind == Integer || c.Kind == Time
	case map[string]any:
		return c.Kind == Object
	case []any:
		return c.Kind == List
	case string:
		switch c.Kind {
		case Hex:
			return slices.Contains(c.Digits, len(value)) && strings.Trim(value, "0123456789abcdef") == ""
		case Integer:
			return strings.Trim(value, "0123456789") == ""
		case Text, Base64:
			return true
		}
	}
	return false
}

func TestCatalogueIsSorted(t *testing.T) {
	for i, c := range All() {
		if i > 0 && All()[i-1].Name >= c.Name {
			t.Errorf("%s is duplicate or out of order", c.Name)
		}
		if (c.Kind == Hex) != (len(c.Digits) > 0) || c.Kind == Free && c.public || strings.HasSuffix(c.Meaning, ".") {
			t.Errorf("%+v is inconsistent", c)
		}
	}
}
