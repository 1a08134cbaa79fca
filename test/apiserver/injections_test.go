package apiserver

import (
	"fmt"
	"strings"
	"testing"
)

// workloads are the kinds with pods, as skrctl inject and skrctl migrate find them. %[1]s is a
// pod template that is indented by six columns.
var workloads = map[string]string{
	"Deployment":            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: orders\nspec:\n  selector: {matchLabels: {app: orders}}\n  template:\n%s",
	"ReplicaSet":            "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata:\n  name: orders\nspec:\n  selector: {matchLabels: {app: orders}}\n  template:\n%s",
	"DaemonSet":             "apiVersion: apps/v1\nkind: DaemonSet\nmetadata:\n  name: orders\nspec:\n  selector: {matchLabels: {app: orders}}\n  template:\n%s",
	"ReplicationController": "apiVersion: v1\nkind: ReplicationController\nmetadata:\n  name: orders\nspec:\n  template:\n%s",
	"PodTemplate":           "apiVersion: v1\nkind: PodTemplate\nmetadata:\n  name: orders\ntemplate:\n%s",
	"Job":                   "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: orders\nspec:\n  template:\n%s      restartPolicy: Never\n",
	"CronJob": "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: orders\nspec:\n  schedule: '0 1 * * *'\n  jobTemplate:\n" +
		"   spec:\n    template:\n%s      restartPolicy: Never\n",
	"StatefulSet": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: orders\nspec:\n  serviceName: orders\n" +
		"  selector: {matchLabels: {app: orders}}\n  volumeClaimTemplates:\n    - metadata: {name: data}\n" +
		"      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n  template:\n%s",
	"Pod": "apiVersion: v1\nkind: Pod\n%s",
}

// template is a pod that meets the restricted standard.
const template = `     metadata:
      labels: {app: orders}
     spec:
      automountServiceAccountToken: false
      serviceAccountName: orders
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: orders
          image: registry.example/orders:1
          ports: [{name: http, containerPort: 3000}]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`

// workload returns the manifest of a kind.
func workload(kind string) string {
	pod := template
	if kind == "Pod" { // the template is the object itself
		pod = strings.Replace(strings.ReplaceAll("\n"+pod, "\n     ", "\n"), "labels:", "name: orders\n labels:", 1)
	}
	return fmt.Sprintf(workloads[kind], pod)
}

const image = "registry.example/skr@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// injections returns the installations of what skrctl inject makes of each kind on each
// platform.
func injections(t *testing.T) (all []installation) {
	const client = "11111111-1111-1111-1111-111111111111"
	const group = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
	for name, flags := range map[string][]string{
		"aci":            {"--platform", "aci", "--identity", group},
		"aci-vn2":        {"--platform", "aci-vn2", "--identity", client},
		"aks-kata":       {"--platform", "aks-kata", "--identity", client},
		"cvm":            {"--platform", "cvm", "--identity", client},
		"cvm-tdx":        {"--platform", "cvm-tdx"},
		"trusted-launch": {"--platform", "trusted-launch", "--classic"},
		"direct":         {"--platform", "cvm", "--vtpm", "direct"},
	} {
		row := "`skrctl inject` on other platforms"
		if strings.HasPrefix(name, "aci") {
			row = "`skrctl inject` on `aci`, `aci-vn2`"
		}
		for kind := range workloads {
			if kind == "DaemonSet" && strings.HasPrefix(name, "aci") {
				continue // virtual nodes run no DaemonSets
			}
			args := append([]string{"inject", "-f", "-", "--image", image, "--alias", "orders=contoso.vault.azure.net/keys/orders",
				"--authority", "contoso.weu.attest.azure.net"}, flags...)
			all = append(all, installation{name: "inject/" + name + "/" + kind, rows: []string{row}, accounts: true, text: func(t *testing.T, namespace string) string {
				text, err := outputWith(t.Context(), workload(kind), tools.skrctl, args...)
				if err != nil {
					t.Fatal(err)
				}
				return placed(text, namespace)
			}})
		}
	}
	return all
}

// TestMigrated installs what skrctl migrate makes of manifests for kata-cc on each platform.
func TestMigrated(t *testing.T) {
	inputs := map[string]string{
		"consumer": read(t, root+"/deploy/kafka/consumer.yaml"),
		"chart":    rendered(t, "orders", "shop", parsed(t, read(t, chart+"/ci/aks-kata-values.yaml"))),
		"kinds":    read(t, root+"/internal/operator/migrate/testdata/kinds.yaml"),
	}
	for _, to := range []string{"aci-vn2", "aks-cvm", "coco"} {
		for name, text := range inputs {
			if name == "kinds" && to == "aci-vn2" {
				continue // it has a DaemonSet, which virtual nodes do not run
			}
			t.Run(name+" to "+to, func(t *testing.T) {
				i := installation{accounts: true, token: name == "kinds", text: func(t *testing.T, namespace string) string {
					migrated, err := outputWith(t.Context(), text, tools.skrctl, "migrate", "-f", "-", "--to", to)
					if err != nil {
						t.Fatal(err)
					}
					return placed(migrated, namespace)
				}}
				namespace := newNamespace(t, "privileged")
				i.create(t, namespace, "privileged")
			})
		}
	}
}
