package keyrelease

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"skr/hsm"
	"skr/internal/refusal"
)

const (
	dayOne  = "0123456789abcdef0123456789abcdef"
	lastDay = "fedcba9876543210fedcba9876543210"
)

// alias returns the request of an alias with these versions, separated by spaces.
func alias(t *testing.T, words string) Request {
	t.Helper()
	versions, err := hsm.ParseVersions(strings.Fields(words))
	if err != nil {
		t.Fatal(err)
	}
	_, request := threeWays(t)
	return request.OfVersions(versions)
}

// TestAt checks which version is released for the version that a request names: "-" means that the
// request is refused, and "=" that the newest must be the named one.
func TestAt(t *testing.T) {
	for words, want := range map[string]map[string]string{
		"latest":                 {"": "", dayOne: "=", lastDay: "="},
		"all":                    {"": "", dayOne: dayOne, lastDay: lastDay},
		dayOne:                   {"": dayOne, dayOne: dayOne, lastDay: "-"},
		"latest " + dayOne:       {"": "", dayOne: dayOne, lastDay: "="},
		lastDay + " " + dayOne:   {"": lastDay, dayOne: dayOne, strings.Repeat("0", 32): "-"},
		dayOne + " " + "latest":  {"": dayOne, lastDay: "="},
		"latest " + "0" + dayOne: {dayOne: "="},
	} {
		for version, want := range want {
			got, err := alias(t, words).At(version)
			release := got.Key.Version()
			switch {
			case errors.Is(err, refusal.CallerNotAllowed):
				release = "-"
			case err != nil:
				t.Fatal(err)
			case got.newest != "":
				release = "=" + release + strings.TrimPrefix(got.newest, version)
			}
			if release != want {
				t.Errorf("%s: %q releases %q, want %q", words, version, release, want)
			}
			for _, way := range got.Ways() {
				if way.Key.Version() != got.Key.Version() {
					t.Errorf("%s: %q: a way releases %q", words, version, way.Key.Version())
				}
			}
		}
	}
	if _, err := alias(t, "all").At("../k"); !errors.Is(err, refusal.BadRequest) {
		t.Errorf("a path as version: %v", err)
	}
}

// versioned is a vault whose newest version is lastDay. It returns no key material.
type versioned struct{ lacks map[string]bool }

func (v versioned) Release(_ context.Context, req Request) (*hsm.Key, error) {
	host := strings.TrimSuffix(req.Key.Vault().String(), ".vault.azure.net")
	if v.lacks[host] {
		return nil, refusing(refusal.KeyNotFound, 0)
	}
	if v.lacks["!"+host] {
		return nil, refusing(refusal.Unavailable, 0)
	}
	if req.Key.Version() == "" {
		req.Key = req.Key.AtVersion(lastDay)
	}
	key := newKey()
	field := reflect.ValueOf(key).Elem().FieldByName("id")
	*(*string)(unsafe.Pointer(field.UnsafeAddr())) = req.Key.String()
	return key, nil
}

// TestNewestMustBeTheNamedOne checks that an alias of the newest version gives a named version only while
// it is the newest.
func TestNewestMustBeTheNamedOne(t *testing.T) {
	for version, want := range map[string]error{lastDay: nil, dayOne: refusal.CallerNotAllowed} {
		request, err := alias(t, "latest").At(version)
		if err != nil {
			t.Fatal(err)
		}
		key, _, err := Anywhere(t.Context(), versioned{}, request)
		if !errors.Is(err, want) || (key == nil) != (want != nil) {
			t.Errorf("%s: got %v, %v, want %v", version, key, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "versions: all") {
			t.Errorf("the refusal does not say what to do: %v", err)
		}
	}
}

// TestVersionsOfSeveralVaults checks that a vault without the version is passed over, and that
// "the version does not exist" is said only if every vault has said so.
func TestVersionsOfSeveralVaults(t *testing.T) {
	for name, c := range map[string]struct {
		lacks []string // "!" marks a vault that is down
		used  string
		want  error
	}{
		"the first has it":         {nil, "v0", nil},
		"the second has it":        {[]string{"v0"}, "v1", nil},
		"the third has it":         {[]string{"v0", "!v1"}, "v2", nil},
		"none has it":              {[]string{"v0", "v1", "v2"}, "v0", refusal.KeyNotFound},
		"one is down, others lack": {[]string{"v0", "!v1", "v2"}, "v0", refusal.Unavailable},
	} {
		places := versioned{map[string]bool{}}
		for _, vault := range c.lacks {
			places.lacks[vault] = true
		}
		request, err := alias(t, "all").At(dayOne)
		if err != nil {
			t.Fatal(err)
		}
		key, by, err := Anywhere(t.Context(), places, request)
		used := strings.TrimSuffix(by.Key.Vault().String(), ".vault.azure.net")
		if used != c.used || c.want == nil && (err != nil || key.Version() != dayOne) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: used %s, %v", name, used, err)
		}
	}
}

// TestLeadsByVersion checks which releases by names an alias covers.
func TestLeadsByVersion(t *testing.T) {
	for words, want := range map[string]map[string]string{
		"latest":           {"": "", dayOne: "="},
		"all":              {"": "", dayOne: dayOne},
		dayOne:             {"": "-", dayOne: dayOne, lastDay: "-"},
		"latest " + dayOne: {"": "", dayOne: dayOne, lastDay: "="},
		dayOne + " latest": {"": "", dayOne: dayOne, lastDay: "="},
	} {
		request := alias(t, words)
		for version, want := range want {
			asked := Request{Authority: request.Authority, Key: request.Key.AtVersion(version)}
			got, leads := request.Leads(asked)
			release := got.Key.Version()
			if !leads {
				release = "-"
			} else if !got.Exact() {
				release = "="
			}
			if release != want {
				t.Errorf("%s: %q releases %q, want %q", words, version, release, want)
			}
		}
	}
}
