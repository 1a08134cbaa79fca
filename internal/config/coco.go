package config

import (
	"errors"
	"fmt"
)

// CoCo is what applications of Confidential Containers are answered with.
type CoCo struct {
	// The resources by their paths, `repository/type/tag`. The next table has the members of each.
	Resources map[string]CoCoResource `json:"resources,omitempty"`
	// The host name of the authority whose tokens `token_type=maa` returns.
	Authority string `json:"authority,omitempty"`
}

// CoCoResource is what a path stands for: the key of an alias in a format, or a file that the
// key opens. One of As, Envelope and Sealed is set.
type CoCoResource struct {
	// The key, by its name in `keys`. Required, with one of `as`, `envelope` and `sealed`.
	Alias string `json:"alias"`
	// Returns the key in this format: `jwk`, `pem`, `der`, `pkcs8`, `ssh` or `raw`.
	As string `json:"as,omitempty"`
	// The absolute path of a file with a JWE that was made for the public part of the key.
	Envelope string `json:"envelope,omitempty"`
	// The absolute path of a file with a sealed secret.
	Sealed string `json:"sealed,omitempty"`
	// The absolute path of the public key that verifies the signature of `sealed`.
	Signer string `json:"signer,omitempty"`
}

// cocoAliases refuses resources of aliases that do not exist, and relative paths.
func cocoAliases(s *Settings) error {
	for path, r := range s.CoCo.Value.Resources {
		if _, found := s.Keys.Value[r.Alias]; !found {
			return fmt.Errorf(": resource %.100q: keys has no alias %.64q", path, r.Alias)
		}
		for _, file := range []string{r.Envelope, r.Sealed, r.Signer} {
			if err := absolute(func(*Settings) string { return file })(s); err != nil {
				return fmt.Errorf(": resource %.100q%w", path, err)
			}
		}
	}
	if s.CoCo.text != "" && s.CoCo.text != None && len(s.CoCo.Value.Resources) == 0 && s.CoCo.Value.Authority == "" {
		return errors.New(": it has neither resources nor an authority; remove it, or write coco: none")
	}
	return nil
}
