package rollout

import (
	"errors"
	"fmt"
	"strings"

	"skr/internal/strictyaml"
	"skr/releasepolicy/claims"
)

// Inventory lists the keys of an application with the files of the pods that may have them. Vault,
// Platform and Authorities are defaults for its keys.
type Inventory struct {
	Vault       string   `json:"vault,omitempty"`
	Platform    string   `json:"platform,omitempty"`
	Authorities []string `json:"authorities,omitempty"`
	Keys        []Entry  `json:"keys"`
}

// Entry is one key of an inventory.
type Entry struct {
	Name string `json:"name"`
	// Manifests are deployment files, relative to the inventory.
	Manifests []string `json:"manifests,omitempty"`
	// Workloads are the names of the pods, container groups or templates in the manifests that may
	// have the key. If it is empty, all of them may.
	Workloads []string `json:"workloads,omitempty"`
	// Measurements are allowed besides those of the manifests.
	Measurements []string `json:"measurements,omitempty"`

	Vault       string   `json:"vault,omitempty"`
	Platform    string   `json:"platform,omitempty"`
	Authorities []string `json:"authorities,omitempty"`
}

// ParseInventory parses an inventory strictly, fills in its defaults, and checks everything that
// needs neither the manifests nor a vault.
func ParseInventory(text []byte) (*Inventory, error) {
	inventory := new(Inventory)
	if err := strictyaml.Decode(text, inventory); err != nil {
		return nil, err
	}
	if len(inventory.Keys) == 0 {
		return nil, errors.New(`it has no keys; list them under "keys"`)
	}
	seen := make(map[string]bool)
	for i := range inventory.Keys {
		key := &inventory.Keys[i]
		key.inherit(inventory)
		if err := key.check(); err != nil {
			return nil, fmt.Errorf("keys, entry %d (%.100q): %w", i+1, key.Name, err)
		}
		place := strings.ToLower(key.Vault + " " + key.Name) // names of vault objects have no case
		if seen[place] {
			return nil, fmt.Errorf("keys, entry %d: the key %.100q is listed twice; list all its manifests in one entry", i+1, key.Name)
		}
		seen[place] = true
	}
	return inventory, nil
}

func (e *Entry) inherit(from *Inventory) {
	if e.Vault == "" {
		e.Vault = from.Vault
	}
	if e.Platform == "" {
		e.Platform = from.Platform
	}
	if len(e.Authorities) == 0 {
		e.Authorities = from.Authorities
	}
}

func (e *Entry) check() error {
	switch {
	case e.Name == "":
		return errors.New("the name is missing")
	case strings.Contains(e.Name, "/"):
		return errors.New("the name has a version; a policy belongs to the name alone")
	case e.Vault == "":
		return errors.New("the vault is missing; set vault for the key or for the inventory")
	case len(e.Authorities) == 0:
		return errors.New("the authorities are missing; set authorities for the key or for the inventory")
	}
	if _, err := claims.ParsePlatform(e.Platform); err != nil {
		return err
	}
	machine := isMachine(claims.Platform(e.Platform))
	switch {
	case machine && len(e.Manifests) > 0:
		return fmt.Errorf("%s has no manifests that say what runs; list launch measurements, or none", e.Platform)
	case !machine && len(e.Manifests)+len(e.Measurements) == 0:
		return errors.New("it needs manifests or measurements, which say what may have the key")
	case len(e.Workloads) > 0 && len(e.Manifests) == 0:
		return errors.New("workloads select pods of manifests, and there are none")
	}
	for _, text := range e.Measurements {
		digits := hostDigits
		if machine {
			digits = launchDigits
		}
		if len(strings.TrimSpace(text)) != digits {
			return fmt.Errorf("the measurement %.200q has not %d hexadecimal digits, as those of %s have", text, digits, e.Platform)
		}
	}
	return nil
}

// isMachine reports whether the workloads of a platform are virtual machines.
func isMachine(p claims.Platform) bool { return !p.IsContainer() }
