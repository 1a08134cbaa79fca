package inject

import (
	"strings"

	"skr/internal/excerpt"
	"skr/internal/operator/splice"
)

// notes returns lines about a target.
func (o Options) notes(t target) (lines []string) {
	form := "an ordinary container, which starts together with the others: they must wait for it"
	if o.native() && !t.isGroup {
		form = "a native sidecar, which starts first (Kubernetes 1.29 or later)"
	}
	lines = append(lines, "changed: "+t.where()+": container skr is added as "+form)
	if !o.native() && (t.kind == "Job" || t.kind == "CronJob") {
		lines = append(lines, "warning: "+t.where()+": a Job does not complete while an ordinary container runs; leave out --classic")
	}
	if o.hasPolicy(t) {
		lines = append(lines, "warning: "+t.where()+" has an execution policy that does not cover what changed: generate it again")
	}
	if o.Identity == "" {
		lines = append(lines, "warning: "+t.where()+": no identity is added; without one the vault releases no key (--identity)")
	}
	return append(lines, o.next(t)...)
}

func (o Options) hasPolicy(t target) bool {
	if t.isGroup {
		return splice.Scalar(splice.Member(t.spec(), "confidentialComputeProperties", "ccePolicy")) != ""
	}
	return policies[o.Platform] != "" && splice.Member(t.object, "metadata", "annotations", policies[o.Platform]) != nil
}

// next returns the commands that come next.
func (o Options) next(t target) []string {
	file := o.File
	if file == "" {
		file = "FILE"
	}
	file = quote(file)
	measure := "next: measure it: skrctl measure " + file
	switch {
	case t.isARM:
		return []string{"next: generate the execution policy: az confcom acipolicygen --template-file " + file, measure}
	case t.isGroup:
		return []string{"next: put the execution policy of the group into confidentialComputeProperties.ccePolicy", measure}
	case o.Platform == Kata:
		return []string{"next: generate the execution policy: az confcom katapolicygen --yaml " + file, measure}
	case o.Platform.onVirtualNode():
		return []string{"next: generate the execution policy: az confcom acipolicygen --virtual-node-yaml " + file, measure}
	}
	return []string{"next: the key needs a release policy for virtual machines: skrctl policy new --platform " + string(o.Platform) +
		" --authority HOST --out release.json"}
}

// quote returns a word for a shell.
func quote(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:@,+") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(excerpt.Printable(word), "'", `'\''`) + "'"
}
