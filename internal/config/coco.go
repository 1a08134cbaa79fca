package config

import (
	"errors"
	"fmt"
)

// CoCo is what applications of Confidential Containers are answered with.
type CoCo struct {
	// Resources by their paths, repository/type/tag.
	Resources map[string]CoCoResource `json:"resources,omitempty"`
	// Authority is the host name of the authority whose tokens token_type=maa returns.
	Authority string `json:"authority,omitempty"`
}

// CoCoResource is what a path stands for: the key of an alias in a format, or a file that the
// key opens. One of As, Envelope and Sealed is set.
type CoCoResource struct {
	Alias string `json:"alias"`
	// As is the format of the key: jwk, pem, der, pkcs8, ssh or raw.
	As string `json:"as,omitempty"`
	// Envelope is the path of a file with a JWE, made for the public part of the key.
	Envelope string `json:"envelope,omitempty"`
	// Sealed is the path of a file with a sealed secret, Signer that of the public key of its
	// signature.
	Sealed string `json:"sealed,omitempty"`
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
