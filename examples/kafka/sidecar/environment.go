package sidecar

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"

	"skr/api"
	"skr/examples/kafka/environment"
)

const defaultURL = "http://localhost:8080"

// FromEnvironment reads SkrClientURL, and either SkrClientAlias, for a key that stays in the
// sidecar, or SkrClientKID, SkrClientMAAEndpoint and SkrClientAKVEndpoint, for one that is released.
func FromEnvironment(v *environment.Variables, log *slog.Logger) Asker {
	a := Asker{
		URL:   environment.Optional(v, "SkrClientURL", defaultURL, environment.Text),
		Alias: environment.Optional(v, "SkrClientAlias", "", parseAlias),
		Log:   log,
	}
	if a.Alias == "" {
		a.Request = api.ReleaseRequest{
			KID: environment.Required(v, "SkrClientKID", "the key's name, such as kafka-encryption-demo, or set only SkrClientAlias: "+
				"the sidecar then decrypts, and keeps the key", parseKID),
			MAAEndpoint: environment.Required(v, "SkrClientMAAEndpoint", "the attestation provider's host, such as sharedeus.eus.attest.azure.net", parseHost),
			AKVEndpoint: environment.Required(v, "SkrClientAKVEndpoint", "the key vault's host, such as myKeyVault.vault.azure.net", parseHost),
		}
	}
	var err error
	if a.Client, err = api.NewClient(api.Config{BaseURL: a.URL, Attempts: 1}); err != nil {
		v.Wrong("SkrClientURL", err.Error())
	}
	return a
}

// alias is what skr permits in keys (docs/configuration.md).
var alias = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func parseAlias(text string) (string, error) {
	if !alias.MatchString(text) {
		return "", fmt.Errorf("%q is not an alias in the keys of the sidecar's configuration", text)
	}
	return text, nil
}

// keyID is NAME or NAME/VERSION (Azure Key Vault, "Object identifiers").
var keyID = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}(/[0-9a-zA-Z]{1,64})?$`)

func parseKID(text string) (string, error) {
	if !keyID.MatchString(text) {
		return "", fmt.Errorf("%q is not a key's name; use letters, digits and hyphens, and optionally /VERSION", text)
	}
	return text, nil
}

var hostName = regexp.MustCompile(`^[0-9a-zA-Z]([0-9a-zA-Z.-]*[0-9a-zA-Z])?$`)

// parseHost accepts https:// before a host and a port after it, as skr does. It
// also accepts upper case, which skr does not, because the documentation has
// myKeyVault.
func parseHost(text string) (string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(text, "https://"), "/")
	name := host
	if strings.Contains(host, ":") {
		var port string
		var err error
		name, port, err = net.SplitHostPort(host)
		if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || number == 0 {
			return "", fmt.Errorf("%q is not a host", text)
		}
	}
	if !strings.Contains(name, ".") || !hostName.MatchString(name) {
		return "", errors.New(strconv.Quote(text) + " is not a host; use only NAME.…, as echo $MAA_ENDPOINT prints it")
	}
	return strings.ToLower(host), nil
}
