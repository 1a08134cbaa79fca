package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"skr/internal/cli"
	"skr/internal/operator/execpolicy"
	"skr/internal/operator/fragment"
)

// fragmentView is what skrctl prints of a fragment.
type fragmentView struct {
	Verified     bool                 `json:"verified"`
	Error        string               `json:"error,omitempty"` // why it is not verified
	Issuer       string               `json:"issuer,omitempty"`
	Feed         string               `json:"feed,omitempty"`
	SVN          execpolicy.Number    `json:"svn"`
	Namespace    string               `json:"namespace"`
	Certificates []certificateView    `json:"certificates,omitempty"`
	Unread       string               `json:"unread,omitempty"` // why Containers and Imports may lack some
	Containers   []containerView      `json:"containers"`
	Imports      []importedRule       `json:"imports,omitempty"`
	AdmittedBy   []admission          `json:"admitted_by,omitempty"` // by verify --policy
	Findings     []execpolicy.Finding `json:"findings,omitempty"`    // by verify
}

type certificateView struct {
	Subject  string    `json:"subject"`
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after"`
}

type containerView struct {
	Name    string   `json:"name"`
	Image   string   `json:"image"`
	Command []string `json:"command"`
	Layers  []string `json:"layers"`
}

func viewOf(f *fragment.Fragment) *fragmentView {
	v := viewOfRego(f.Policy)
	v.Verified, v.Issuer, v.Feed, v.SVN = true, f.Issuer, f.Feed, f.SVN
	for _, c := range f.Chain() {
		sum := sha256.Sum256(c.Raw)
		v.Certificates = append(v.Certificates, certificateView{c.Subject.String(), hex.EncodeToString(sum[:]), c.NotAfter})
	}
	return v
}

func viewOfRego(p *execpolicy.Policy) *fragmentView {
	v := &fragmentView{SVN: p.SVN, Namespace: p.Namespace, Containers: []containerView{}, Imports: describeImports(p.Imports)}
	if p.Unread != nil {
		v.Unread = strings.ReplaceAll(p.Unread.Error(), "\n", "; ")
	}
	for _, c := range p.Containers {
		v.Containers = append(v.Containers, containerView{c.Name, c.ID, c.Command, c.Layers})
	}
	return v
}

func (v *fragmentView) writeText(out io.Writer) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-12s %s\n", name, oneLine(value))
		}
	}
	svn := "no svn"
	if v.SVN != "" {
		svn = "svn " + string(v.SVN)
	}
	fmt.Fprintf(&b, "fragment %s, %s, %s\n", oneLine(v.Namespace), oneLine(svn), v.state())
	line("error", v.Error)
	line("not read", v.Unread)
	line("issuer", v.Issuer)
	line("feed", v.Feed)
	for _, c := range v.Certificates {
		line("certificate", c.Subject+", until "+c.NotAfter.UTC().Format(time.DateOnly)+", sha256 "+c.SHA256)
	}
	for _, c := range v.Containers {
		line("container", fmt.Sprintf("%s of %s, %s, command %q", strconv.Quote(c.Name), strconv.Quote(c.Image), cli.Plural(len(c.Layers), "layer"), c.Command))
	}
	for _, i := range v.Imports {
		line("import", i.Meaning)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (v *fragmentView) state() string {
	switch {
	case v.Verified:
		return "signature verified"
	case v.Error != "":
		return "signature NOT verified"
	}
	return "not signed"
}

// oneLine keeps what others wrote from forging lines or controlling the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
