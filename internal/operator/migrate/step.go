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
		m.next("write initdata.toml with your aa.toml and cdh.toml, and let genpolicy of Kata Containers add the pod's policy to it and set the annotation "+
			initdata, "genpolicy --initdata-path=initdata.toml -y "+file)
		m.next("the key needs a release policy for virtual machines, with the value of PCR 8, which holds the initdata",
			"skrctl policy new --platform cvm --token token.jwt --with pcr8 --out release.json")
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
