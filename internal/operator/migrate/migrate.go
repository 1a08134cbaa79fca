// Package migrate turns Kubernetes manifests of AKS confidential containers (kata-cc), a platform that
// was retired in 2026, into manifests of another platform, and their release policies into policies for
// the tokens of that platform.
//
//	result, err := migrate.Manifests(text, migrate.Options{To: migrate.VirtualNodes})
//	…
//	for _, note := range result.Notes {
//		fmt.Println(note)
//	}
//
// The package edits the YAML and keeps order and comments. It changes only pods of kata-cc: runtime class,
// placement, annotations, mounts of endorsements, identity, and the container that runs skr or the
// reference sidecar. Notes say what changed, what cannot be carried over and why, and which steps remain.
// It reads no image and no cluster, and computes no measurement.
package migrate

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"

	"skr/internal/operator/splice"
	"skr/internal/textfile"
)

// Options say what to make of the manifests.
type Options struct {
	// To is the platform to migrate to. Required.
	To Target
	// Identity is the resource id of the managed identity of a container group, which replaces
	// workload identity. Empty keeps workload identity. Only for VirtualNodes.
	Identity string
	// Image replaces the image of the sidecar. Empty keeps it.
	Image string
	// Sidecar is the form of the sidecar's container. The zero value keeps its form.
	Sidecar Form
	// File is the name of the migrated file in the commands of notes.
	File string
}

// Result is what Manifests returns.
type Result struct {
	// Manifests are all documents of the input, migrated or unchanged.
	Manifests []byte
	// Notes are in the order of the documents.
	Notes []Note
	// Left counts objects of kata-cc that do not run on the platform. They are unchanged.
	Left int
}

// Manifests migrates the pods in YAML with one or several documents. It returns an error if the text
// cannot be read or has no pod of kata-cc.
func Manifests(text []byte, o Options) (*Result, error) {
	f, err := readFile(textfile.UTF8(text))
	if err != nil {
		return nil, fmt.Errorf("reading the manifests: %w", err)
	}
	m := migration{Options: o}
	for _, document := range f.documents {
		m.object(content(document))
	}
	if m.found == 0 {
		return nil, fmt.Errorf("reading the manifests: no pod of kata-cc is in them: none has the runtime class %s, the annotation %s or the mount of an endorsement",
			kataClasses[0], agentPolicy)
	}
	m.steps()
	var out bytes.Buffer
	if err := f.write(&out); err != nil {
		return nil, fmt.Errorf("writing the manifests: %w", err)
	}
	return &Result{Manifests: out.Bytes(), Notes: m.notes, Left: m.left}, nil
}

// migration is the work on one file.
type migration struct {
	Options
	notes       []Note
	found, left int
	sidecars    int
	identity    bool // a pod uses workload identity
}

// object migrates the pod of an object, or the pods of a list.
func (m *migration) object(o *yaml.Node) {
	if kind := splice.Scalar(splice.Member(o, "kind")); kind == "List" {
		for _, item := range splice.Items(splice.Member(o, "items")) {
			m.object(item)
		}
		return
	}
	p, isPod := podOf(o)
	if !isPod {
		m.other(o)
		return
	}
	if !p.isKata() {
		return
	}
	m.found++
	if p.kind == "DaemonSet" && m.To == VirtualNodes {
		m.left++
		m.lost(p.where(), "virtual nodes run no DaemonSets; it is unchanged. Make it a Deployment, or a VirtualDaemonSet of the virtual nodes' chart")
		return
	}
	m.pod(p)
}

// pod migrates one pod template. Each step edits the nodes and adds notes.
func (m *migration) pod(p pod) {
	m.runtimeClass(p)
	m.placement(p)
	m.annotations(p)
	m.endorsements(p)
	m.podIdentity(p)
	m.sidecar(p)
	m.limits(p)
}

// other notes what an object without a pod template means on the platform.
func (m *migration) other(o *yaml.Node) {
	where := whereOf(o)
	switch {
	case splice.Scalar(splice.Member(o, "kind")) == "NetworkPolicy" && m.To == VirtualNodes:
		m.lost(where, "virtual nodes enforce no NetworkPolicy; use network security groups of the subnet")
	case mentions(o, kataClasses):
		m.found++
		m.left++
		m.lost(where, "its kind is unknown here, and it names the runtime class of kata-cc; it is unchanged. Change its pod template by hand")
	}
}
