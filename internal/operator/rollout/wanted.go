package rollout

import (
	"fmt"
	"slices"
	"strings"

	"skr/internal/operator/measure"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// Surroundings are what an inventory depends on outside of its file.
type Surroundings struct {
	// Measure returns the execution policies in a manifest.
	Measure func(path string) ([]measure.Policy, error)
	// Vault and Authority complete short names.
	Vault, Authority func(name string) string
}

// Wanted is what an inventory says about one key.
type Wanted struct {
	Vault, Name string
	Platform    claims.Platform
	// Authorities as release policies name them.
	Authorities []string
	// Workloads that may have the key, in the order of the inventory. It is empty for virtual
	// machines whose measurement does not matter.
	Workloads []Workload
	// AllowAll are the measurements of execution policies that allow everything.
	AllowAll []string
}

// Workload is a measurement with its place.
type Workload struct {
	Measurement string `json:"measurement"`
	// Source is the file and the object in it, or "inventory".
	Source string `json:"source"`
}

// Resolve measures the manifests and completes the names.
func (i *Inventory) Resolve(s Surroundings) ([]Wanted, error) {
	all := make([]Wanted, len(i.Keys))
	for n := range i.Keys {
		var err error
		if all[n], err = i.Keys[n].resolve(s); err != nil {
			return nil, fmt.Errorf("the key %.100q: %w", i.Keys[n].Name, err)
		}
	}
	return all, nil
}

func (e *Entry) resolve(s Surroundings) (Wanted, error) {
	w := Wanted{Vault: s.Vault(e.Vault), Name: e.Name, Platform: claims.Platform(e.Platform)}
	names := make([]string, len(e.Authorities))
	for i, name := range e.Authorities {
		names[i] = s.Authority(name)
	}
	var err error
	if w.Authorities, err = urls(names); err != nil {
		return w, err
	}
	for _, text := range e.Measurements {
		w.Workloads = append(w.Workloads, Workload{strings.ToLower(strings.TrimSpace(text)), "inventory"})
	}
	absent := slices.Clone(e.Workloads)
	for _, path := range e.Manifests {
		policies, err := s.Measure(path)
		if err != nil {
			return w, err
		}
		for _, p := range policies {
			name := objectName(p.Source())
			if len(e.Workloads) > 0 && !slices.Contains(e.Workloads, name) {
				continue
			}
			absent = slices.DeleteFunc(absent, func(n string) bool { return n == name })
			w.add(path, p)
		}
	}
	if len(absent) > 0 {
		return w, fmt.Errorf("no manifest has the workload %.100q", absent[0])
	}
	return w, nil
}

func (w *Wanted) add(path string, p measure.Policy) {
	w.Workloads = append(w.Workloads, Workload{p.Digest(), path + ", " + p.Source()})
	if p.AllowsEverything() {
		w.AllowAll = append(w.AllowAll, p.Digest())
	}
}

// objectName returns the name in a source such as `Pod "orders"`, or "".
func objectName(source string) string {
	_, rest, found := strings.Cut(source, `"`)
	name, _, closed := strings.Cut(rest, `"`)
	if !found || !closed {
		return ""
	}
	return name
}

// measurements returns the measurements of all workloads, each once.
func (w Wanted) measurements() (all []string) {
	for _, one := range w.Workloads {
		if !slices.Contains(all, one.Measurement) {
			all = append(all, one.Measurement)
		}
	}
	return all
}

// Target returns the policy that allows what is wanted. With retire it allows nothing else.
// Conditions that are neither measurements nor authorities stay.
func (w Wanted) Target(p *releasepolicy.Policy, retire bool) (*releasepolicy.Policy, error) {
	next, err := Selection{Measurements: w.measurements(), Authorities: w.Authorities}.Allow(p)
	if err != nil || !retire {
		return next, err
	}
	status := w.Compare(next)
	return Selection{Measurements: status.strays(), Authorities: status.OtherAuthorities}.Retire(next)
}
