package apiserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var platforms = []string{"aci-vn2", "aci", "aks-kata", "cvm", "cvm-tdx", "trusted-launch"}

// application is a pod that meets the restricted standard together with what the chart adds.
const application = `
application:
  template:
    spec:
      containers:
        - name: app
          image: registry.example/app:1
          ports: [{name: http, containerPort: 3333}]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
identity: {clientId: 11111111-1111-1111-1111-111111111111}
`

// variations are values that operators set. Each is installed on each platform. Together with
// the files in the chart's directory ci they set every value: TestValues compares.
var variations = map[string]string{
	"plain":         "{}",
	"statefulset":   "application: {kind: StatefulSet, replicas: 3, spec: {podManagementPolicy: Parallel}}",
	"classic":       "sidecar: {native: false}",
	"grpc":          "sidecar: {grpcPort: 50000, port: 8099}",
	"root":          "sidecar: {runAsUser: 0}",
	"sidecar":       "sidecar: {sideCarArgs: e30=, environment: {OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318'}}",
	"resources":     "sidecar: {resources: {limits: {memory: 1Gi}, requests: {cpu: 1, memory: 1Gi}}}",
	"context":       "{sidecar: {securityContext: {runAsGroup: 1000}}, podSecurityContext: {fsGroup: 1000}}",
	"settings":      "sidecar: {settings: {vault_allow: [contoso.vault.azure.net], maa_allow: [contoso.weu.attest.azure.net], fleet_window: 35m}}",
	"no operations": "ops: {port: 0}",
	"pod monitor":   "ops: {port: 9191, podMonitor: {enabled: true, interval: 15s, labels: {release: prometheus}}}",
	"no policy":     "networkPolicy: {enabled: false}",
	"policy":        "networkPolicy: {prometheusNamespace: watch, ingress: [{from: [{podSelector: {}}], ports: [{port: http}]}]}",
	"identity":      "identity: {resourceId: /subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i}",
	"no identity":   "identity: {clientId: ''}",
	"account":       "serviceAccount: {name: payments, annotations: {owner: payments}}",
	"own account":   "serviceAccount: {create: false, name: existing}",
	"no account":    "serviceAccount: {create: false}",
	"execution":     "executionPolicy: cGFja2FnZSBwb2xpY3kK",
	"no host":       "endorsementFromHost: false",
	"direct":        "vtpm: {access: direct}",
	"agent": "agent: {enabled: true, tolerations: [{operator: Exists}], nodeSelector: {disk: fast}, " +
		"resources: {limits: {memory: 64Mi}, requests: {cpu: 1, memory: 8Mi}}}",
	"names": "{nameOverride: ledger, fullnameOverride: ledger-db}",
	"pods":  "{podAnnotations: {team: a}, podLabels: {tier: data}, nodeSelector: {disk: fast}, tolerations: [{key: k, operator: Exists}]}",
	"affinity": "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: " +
		"[{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app.kubernetes.io/instance: orders}}}]}}",
	"volumes": "{extraVolumes: [{name: crypto, emptyDir: {medium: Memory}}], extraVolumeMounts: [{name: crypto, mountPath: /run/crypto}]}",
	"image":   "{image: {repository: registry.example/skr, tag: '1.2', pullPolicy: Always}, imagePullSecrets: [registry, {name: mirror}]}",
	"digest":  "image: {digest: 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}",
	"job":     "application: {kind: Job, spec: {backoffLimit: 2}}",
}

// charts returns the installations of the chart.
func charts(t *testing.T) (all []installation) {
	for _, platform := range platforms {
		for name, text := range variations {
			values := merged(parsed(t, application), parsed(t, text))
			values["platform"] = platform
			if applies(name, platform) {
				all = append(all, chartOf("chart/"+platform+"/"+name, values))
			}
		}
	}
	return append(all, chartFiles(t)...)
}

// chartFiles returns the installations of the chart with each of its files of values, and with
// the values in docs/deployment.md.
func chartFiles(t *testing.T) (all []installation) {
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(files) < 11 {
		t.Fatalf("%d files of values: %v", len(files), err)
	}
	for _, file := range files {
		all = append(all, chartOf("chart/"+filepath.Base(file), parsed(t, read(t, file))))
	}
	return append(all, chartOf("chart/documented", documentedValues(t)))
}

// applies reports whether the chart has the variation on a platform. It refuses agents without
// a vTPM, and Jobs whose sidecar is an ordinary container.
func applies(variation, platform string) bool {
	virtualMachine := strings.HasPrefix(platform, "cvm") || platform == "trusted-launch"
	return (variation != "agent" || virtualMachine) && (variation != "job" || platform != "aci")
}

// chartOf returns the installation of the chart with values.
func chartOf(name string, values map[string]any) installation {
	return installation{name: name, rows: rowsOf(values), accounts: at(values, "serviceAccount.create") == false,
		text: func(t *testing.T, namespace string) string { return rendered(t, "orders", namespace, values) }}
}

// rowsOf returns the rows in docs/deployment.md, Pod security, that apply to values.
func rowsOf(values map[string]any) (rows []string) {
	platform, _ := values["platform"].(string)
	virtualMachine := applies("agent", platform)
	if at(values, "agent.enabled") == true {
		rows = append(rows, "`agent.enabled: true`")
	}
	if at(values, "application") != nil && virtualMachine && at(values, "vtpm.access") == "direct" {
		rows = append(rows, "`vtpm.access: direct`")
	}
	if platform == "aks-kata" && at(values, "endorsementFromHost") != false {
		rows = append(rows, "`platform: aks-kata`")
	}
	if at(values, "sidecar.runAsUser") == 0.0 {
		rows = append(rows, "`sidecar.runAsUser: 0`")
	}
	if len(rows) == 0 {
		rows = append(rows, "any other values of the chart")
	}
	return rows
}

// rendered returns what `helm template` prints.
func rendered(t *testing.T, release, namespace string, values map[string]any) string {
	t.Helper()
	text, err := output(t.Context(), tools.helm, "template", release, chart, "--namespace", namespace, "--values", valuesFile(t, values),
		"--kube-version", tools.version)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func valuesFile(t *testing.T, values map[string]any) string {
	t.Helper()
	text, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// documentedValues returns the example in docs/deployment.md.
func documentedValues(t *testing.T) map[string]any {
	t.Helper()
	_, block, found := strings.Cut(read(t, root+"/docs/deployment.md"), "```yaml\n# values.yaml\n")
	block, _, _ = strings.Cut(block, "```")
	if !found {
		t.Fatal("docs/deployment.md shows no values.yaml")
	}
	return parsed(t, strings.Replace(block, "sha256:…", "sha256:"+strings.Repeat("0", 64), 1))
}

func parsed(t *testing.T, text string) (values map[string]any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return values
}

// merged sets the members of more in values, as Helm does.
func merged(values, more map[string]any) map[string]any {
	for name, value := range more {
		if inner, is := value.(map[string]any); is && values[name] != nil {
			value = merged(member(values, name), inner)
		}
		values[name] = value
	}
	return values
}

// at returns the value at a path of names with dots between, or nil.
func at(values map[string]any, path string) any {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		return values[name]
	}
	return at(member(values, name), rest)
}

// TestValues checks that the installations above set every value of the chart.
func TestValues(t *testing.T) {
	var all strings.Builder
	for _, text := range variations {
		values := parsed(t, text)
		paths(values, "", &all)
	}
	paths(parsed(t, application+"platform: cvm"), "", &all)
	var known strings.Builder
	paths(parsed(t, read(t, chart+"/values.yaml")), "", &known)
	for path := range strings.Lines(known.String()) {
		if !strings.Contains(all.String(), strings.TrimSuffix(path, "\n")) {
			t.Errorf("no installation sets %s", path)
		}
	}
}

// paths writes the paths of all members that are not objects, one a line.
func paths(values map[string]any, path string, to *strings.Builder) {
	for name, value := range values {
		if inner, is := value.(map[string]any); is && len(inner) > 0 {
			paths(inner, path+"."+name, to)
			continue
		}
		to.WriteString(path + "." + name + "\n")
	}
}
