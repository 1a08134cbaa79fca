package migrate

import (
	"cmp"
	"strings"
)

// steps notes what remains to be done after the file is written.
func (m *migration) steps() {
	if m.found == m.left {
		return
	}
	file := quote(cmp.Or(m.File, "FILE"))
	switch m.To {
	case VirtualNodes:
		m.next("generate the execution policy into the annotation "+groupPolicy+"; without it the pod is not confidential",
			"az confcom acipolicygen --virtual-node-yaml "+file)
		m.next("measure it: the key needs a release policy with the new HOST_DATA", "skrctl measure "+file)
	case CVM:
		if m.sidecars > 0 {
			m.next("install the agent that holds the nodes' vTPM, once in the cluster", "helm install skr-agent deploy/helm/skr --namespace skr-system "+
				"--create-namespace --set platform=cvm --set agent.enabled=true --set image.repository=REGISTRY/skr")
		}
		m.next("the key needs a release policy for virtual machines", "skrctl policy new --platform cvm --authority HOST --out release.json")
	case CoCo:
		m.next("generate a policy with genpolicy of Kata Containers, and put it into initdata.toml as policy.rego, beside aa.toml and cdh.toml",
			"genpolicy -r -y "+file+" >policy.rego")
		m.next("set the annotation "+initdata+" to the initdata", "gzip -c initdata.toml | base64 -w0")
	}
	if m.identity {
		m.next("if the cluster is new, the managed identity needs a federated credential for its issuer",
			"az identity federated-credential create --name NAME --identity-name IDENTITY --resource-group GROUP --issuer ISSUER "+
				"--subject system:serviceaccount:NAMESPACE:SERVICEACCOUNT --audiences api://AzureADTokenExchange")
	}
}

// quote returns a word for a shell.
func quote(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:@,+") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
