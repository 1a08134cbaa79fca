package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/attest"
	"skr/hsm"
	"skr/internal/config"
	"skr/internal/excerpt"
	"skr/internal/operator/inject"
)

// sidecarSettings are the flags for the settings of a sidecar.
type sidecarSettings struct {
	settings, authority, listen string
	aliases                     []string
}

func (s *sidecarSettings) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.settings, "settings", "", "configuration file of skr, which becomes its variables: the execution policy covers these, and no file")
	flags.StringArrayVar(&s.aliases, "alias", nil, "key under a name of its own, as NAME=VAULT/keys/KEY[/VERSION]; repeat for more")
	flags.StringVar(&s.authority, "authority", "", "attestation provider of the aliases")
	setting := new(config.Settings).Flags().Lookup("listen") // of the sidecar, not of this program
	flags.StringVar(&s.listen, setting.Name, "", setting.Usage)
}

// load returns the settings as variables, and the ports that skr listens on. skr itself would take the settings: they
// are read and checked in the same way.
func (s *sidecarSettings) load(o inject.Options) (variables []inject.Variable, ports []int, err error) {
	given := pflag.NewFlagSet("inject", pflag.ContinueOnError)
	for name, value := range map[string]string{"config": s.settings, "listen": s.listen} {
		given.String(name, "", "")
		if value != "" {
			if err := given.Set(name, value); err != nil {
				return nil, nil, err
			}
		}
	}
	keys, err := s.keys()
	if err != nil {
		return nil, nil, err
	}
	given.String("keys", "", "")
	if keys != "" {
		if err := given.Set("keys", keys); err != nil {
			return nil, nil, err
		}
	}
	loaded, all, err := config.Load(given, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := checkAliases(loaded); err != nil {
		return nil, nil, err
	}
	for _, v := range config.Variables(all) {
		if ofPlatform[v.Name] {
			return nil, nil, fmt.Errorf("--settings: leave out %s, which --platform sets", strings.ToLower(strings.TrimPrefix(v.Name, "SKR_")))
		}
		variables = append(variables, inject.Variable(v))
	}
	ports, err = portsOf(config.FieldsOf(all), o.Mounts)
	return variables, ports, err
}

// ofPlatform are settings that the platform decides.
var ofPlatform = map[string]bool{"SKR_REPORT_SOURCE": true, "SKR_TPM": true, "SKR_EVENT_LOG": true}

// keys returns the section keys for the aliases.
func (s *sidecarSettings) keys() (string, error) {
	switch {
	case len(s.aliases) == 0 && s.authority != "":
		return "", errors.New("--authority: it has no meaning without --alias")
	case len(s.aliases) == 0:
		return "", nil
	case s.authority == "":
		return "", errors.New("--alias: --authority is needed, the attestation provider that the key's release policy names")
	}
	aliases := map[string]config.Alias{}
	for _, text := range s.aliases {
		name, place, _ := strings.Cut(text, "=")
		vault, key, found := strings.Cut(place, "/keys/")
		if _, twice := aliases[name]; !found || twice {
			return "", fmt.Errorf("--alias: %s is not NAME=VAULT/keys/KEY, or the name is used twice", excerpt.Quote(text))
		}
		aliases[name] = config.Alias{Vault: vault, Key: key, Authority: s.authority}
	}
	text, err := json.Marshal(aliases)
	return string(text), err
}

func checkAliases(s *config.Settings) error {
	authorities, err := attest.ParseAuthorities(s.MAAAllow)
	if err != nil {
		return fmt.Errorf("maa_allow: %w", err)
	}
	vaults, err := hsm.ParseVaults(s.VaultAllow)
	if err != nil {
		return fmt.Errorf("vault_allow: %w", err)
	}
	if _, err := (config.Names{Authorities: authorities, Vaults: vaults}).All(s.Keys.Value); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// portsOf returns the ports of the addresses. The directory of a socket must be a volume, or only skr sees it.
func portsOf(fields map[string]any, mounts []inject.Mount) (ports []int, err error) {
	for name, value := range fields {
		address, _ := value.(string)
		if name != "listen" && !strings.HasSuffix(name, "_listen") || address == "" {
			continue
		}
		socket, isSocket := strings.CutPrefix(address, "unix:")
		if isSocket && !isMounted(path.Dir(socket), mounts) {
			return nil, fmt.Errorf("%s: no volume is at %s, so only skr would see the socket: give skr and the application a volume there (--mount VOLUME=%s)",
				name, path.Dir(socket), path.Dir(socket))
		}
		if _, text, err := net.SplitHostPort(address); err == nil && !isSocket {
			if port, err := strconv.Atoi(text); err == nil {
				ports = append(ports, port)
			}
		}
	}
	return ports, nil
}

func isMounted(directory string, mounts []inject.Mount) bool {
	for _, m := range mounts {
		if directory == m.Path || strings.HasPrefix(directory, strings.TrimSuffix(m.Path, "/")+"/") {
			return true
		}
	}
	return false
}
