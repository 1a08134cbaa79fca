package config

import "testing"

// The cloud sets the default of authority_host. A host that is set stays.
func TestCloud(t *testing.T) {
	for _, c := range []struct {
		env  Environment
		want string
	}{
		{Environment{}, ""},
		{Environment{"SKR_CLOUD": "public"}, ""},
		{Environment{"SKR_CLOUD": "china"}, "https://login.partner.microsoftonline.cn"},
		{Environment{"SKR_CLOUD": "usgovernment"}, "https://login.microsoftonline.us"},
		{Environment{"SKR_CLOUD": "china", "AZURE_AUTHORITY_HOST": "https://login.example/"}, "https://login.example/"},
	} {
		s, _, err := Load(nil, c.env)
		if err != nil || s.AuthorityHost != c.want {
			t.Errorf("%v: %q, %v; want %q", c.env, s.AuthorityHost, err, c.want)
		}
	}
	if _, _, err := Load(nil, Environment{"SKR_CLOUD": "germany"}); err == nil {
		t.Error("an unknown cloud is accepted")
	}
}
