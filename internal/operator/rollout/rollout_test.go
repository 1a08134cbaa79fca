package rollout_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/internal/operator/lint"
	"skr/internal/operator/measure"
	"skr/internal/operator/rollout"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

const (
	one  = "1111111111111111111111111111111111111111111111111111111111111111"
	two  = "2222222222222222222222222222222222222222222222222222222222222222"
	mine = "https://mine.weu.attest.azure.net"
)

func policy(t *testing.T, spec lint.Spec) *releasepolicy.Policy {
	t.Helper()
	if spec.Platform == "" {
		spec.Platform = claims.ACI
	}
	if spec.Authorities == nil {
		spec.Authorities = []string{mine}
	}
	p, err := lint.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func same(t *testing.T, what string, got, want *releasepolicy.Policy) {
	t.Helper()
	if changes := releasepolicy.Diff(got, want); len(changes) > 0 {
		t.Errorf("%s: %+v", what, changes)
	}
}

func TestSelection(t *testing.T) {
	now := policy(t, lint.Spec{HostData: []string{one}})
	both := policy(t, lint.Spec{HostData: []string{one, two}, Authorities: []string{mine, "other.weu.attest.azure.net"}})
	more := rollout.Selection{Measurements: []string{strings.ToUpper(two)}, Authorities: []string{"other.weu.attest.azure.net"}}
	wider, err := more.Allow(now)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "allowed", wider, both)
	back, err := more.Retire(wider)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "retired", back, now)

	// A launch measurement belongs below x-ms-isolation-tee on virtual machines, and not with containers.
	launch := strings.Repeat("3", 96)
	machine := policy(t, lint.Spec{Platform: claims.CVM, Measurements: []string{launch}})
	if got := rollout.MeasurementClaims(machine)[1]; got != "x-ms-isolation-tee.x-ms-sevsnpvm-launchmeasurement" {
		t.Errorf("the claim is %s", got)
	}
	other := strings.Repeat("4", 96)
	td := policy(t, lint.Spec{Platform: claims.CVMTDX, Measurements: []string{launch}})
	if got := rollout.MeasurementClaims(td)[1]; got != "x-ms-isolation-tee.tdx_mrtd" {
		t.Errorf("the launch measurement of TDX is %s", got)
	}
	wider, err = rollout.Selection{Measurements: []string{other}}.Allow(machine)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "machine", wider, policy(t, lint.Spec{Platform: claims.CVM, Measurements: []string{launch, other}}))

	for says, s := range map[string]rollout.Selection{
		"is neither HOST_DATA":                      {Measurements: []string{"12"}},
		"authority: host":                           {Authorities: []string{"a b"}},
		"the policy does not list measurements":     {Measurements: []string{other}},
		`the measurement "` + one[:60] + `é" is ne`: {Measurements: []string{one[:60] + "é"}},
	} {
		if _, err := s.Allow(now); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
	if _, err := (rollout.Selection{Measurements: []string{one}}).Retire(now); !errors.Is(err, releasepolicy.ErrLast) {
		t.Error(err)
	}
}

const inventory = `
vault: contoso
platform: aci
authorities: [shared]
keys:
  - name: orders
    manifests: [helm.yaml]
    workloads: [orders]
    measurements: ['` + two + `']
  - name: all
    vault: other
    platform: aks-kata
    authorities: [mine.weu.attest.azure.net]
    manifests: [helm.yaml]
  - {name: machine, platform: cvm}
`

func manifest(kind, name, namespace, text string) string {
	return fmt.Sprintf("kind: %s\nmetadata:\n  name: %s\n  namespace: %s\n  annotations: {io.katacontainers.config.agent.policy: %s}\n---\n",
		kind, name, namespace, base64.StdEncoding.EncodeToString([]byte(text)))
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func read(t *testing.T, text string) []measure.Policy {
	t.Helper()
	policies, err := measure.Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return policies
}

func surroundings(t *testing.T, files map[string]string) rollout.Surroundings {
	return rollout.Surroundings{
		Measure:   func(path string) ([]measure.Policy, error) { return read(t, files[path]), nil },
		Vault:     func(name string) string { return name + ".vault.azure.net" },
		Authority: func(name string) string { return strings.ReplaceAll(name, "shared", "mine.weu.attest.azure.net") },
	}
}

func TestInventory(t *testing.T) {
	parsed, err := rollout.ParseInventory([]byte(inventory))
	if err != nil {
		t.Fatal(err)
	}
	helm := "# Source: chart\n" + manifest("Pod", "orders", "a", "package a\n") + manifest("Deployment", "bills", "a", "package b\n") +
		manifest("Pod", "open", "a", "package agent_policy\ndefault CreateContainerRequest := true\n")
	got, err := parsed.Resolve(surroundings(t, map[string]string{"helm.yaml": helm}))
	if err != nil {
		t.Fatal(err)
	}
	open := digest("package agent_policy\ndefault CreateContainerRequest := true\n")
	want := []rollout.Wanted{
		{Vault: "contoso.vault.azure.net", Name: "orders", Platform: claims.ACI, Authorities: []string{mine},
			Workloads: []rollout.Workload{{two, "inventory"}, {digest("package a\n"), `helm.yaml, Pod "orders"`}}},
		{Vault: "other.vault.azure.net", Name: "all", Platform: claims.AKSKata, Authorities: []string{mine},
			Workloads: []rollout.Workload{{digest("package a\n"), `helm.yaml, Pod "orders"`}, {digest("package b\n"), `helm.yaml, Deployment "bills"`},
				{open, `helm.yaml, Pod "open"`}}, AllowAll: []string{open}},
		{Vault: "contoso.vault.azure.net", Name: "machine", Platform: claims.CVM, Authorities: []string{mine}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInventoryRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"keys: []":                           "present and empty",
		"vault: a":                           "it has no keys",
		"vualt: a":                           `member "vualt" is unknown`,
		"{":                                  "did not find",
		"keys: [{name: k}]":                  "the vault is missing",
		"vault: v\nkeys: [{manifests: [a]}]": "the name is missing",
		"vault: v\nkeys: [{name: k/1}]":      "the name has a version",
		"vault: v\nkeys: [{name: k}]":        "the authorities are missing",
		"vault: v\nauthorities: [a]\nkeys: [{name: k}]":                                                               `platform "" is none of`,
		"vault: v\nplatform: aci\nauthorities: [a]\nkeys: [{name: k}]":                                                "needs manifests or measurements",
		"vault: v\nplatform: cvm\nauthorities: [a]\nkeys: [{name: k, manifests: [m]}]":                                "cvm has no manifests",
		"vault: v\nplatform: aci\nauthorities: [a]\nkeys: [{name: k, measurements: ['" + one + "'], workloads: [w]}]": "there are none",
		"vault: v\nplatform: aci\nauthorities: [a]\nkeys: [{name: k, measurements: ['12']}]":                          "has not 64 hexadecimal digits",
		"vault: v\nplatform: aci\nauthorities: [a]\nkeys: [{name: k, manifests: [m]}, {name: K, manifests: [m]}]":     `entry 2: the key "K" is listed twice`,
	} {
		if _, err := rollout.ParseInventory([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want %q", text, err, says)
		}
	}
	parsed, err := rollout.ParseInventory([]byte(inventory))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parsed.Resolve(surroundings(t, map[string]string{"helm.yaml": manifest("Pod", "bills", "a", "package b\n")}))
	if err == nil || !strings.Contains(err.Error(), `no manifest has the workload "orders"`) {
		t.Errorf("error %v", err)
	}
}

func TestStatus(t *testing.T) {
	w := rollout.Wanted{Name: "k", Platform: claims.ACI, Authorities: []string{mine, "https://other.weu.attest.azure.net"},
		Workloads: []rollout.Workload{{one, "one.yaml"}}}
	p := policy(t, lint.Spec{HostData: []string{two}, Authorities: []string{mine, "third.weu.attest.azure.net"}})
	want := rollout.Status{
		Allowed: []rollout.Allowance{{Measurement: two}}, Missing: w.Workloads,
		MissingAuthorities: []string{"https://other.weu.attest.azure.net"}, OtherAuthorities: []string{"https://third.weu.attest.azure.net"},
	}
	if diff := cmp.Diff(want, w.Compare(p)); diff != "" {
		t.Error(diff)
	}
	// Adding takes nothing away, and retiring leaves what is wanted.
	wider, err := w.Target(p, false)
	if err != nil {
		t.Fatal(err)
	}
	if s := w.Compare(wider); !s.IsComplete() || s.IsExact() || len(releasepolicy.Losses(p, wider)) > 0 {
		t.Errorf("%+v", s)
	}
	exact, err := w.Target(p, true)
	if err != nil {
		t.Fatal(err)
	}
	if s := w.Compare(exact); !s.IsExact() {
		t.Errorf("%+v", s)
	}
	if again, err := w.Target(exact, true); err != nil || again != exact {
		t.Errorf("the second time, something is left to do: %v", err)
	}
	// A measurement that one authority does not admit is missing.
	uneven, err := releasepolicy.New(append(exact.Tree(), p.Tree()[1])...)
	if err != nil {
		t.Fatal(err)
	}
	if s := w.Compare(uneven); len(s.Missing) != 1 {
		t.Errorf("%+v", s)
	}
	open := policy(t, lint.Spec{AnyWorkload: true})
	if s := w.Compare(open); !s.Open || s.IsExact() {
		t.Errorf("%+v", s)
	}
	if _, err := w.Target(open, true); err == nil {
		t.Error("a policy without measurements cannot be brought to what the inventory says")
	}
	// What a utility VM must be is no workload of a container.
	uvm := policy(t, lint.Spec{HostData: []string{one}, Measurements: []string{strings.Repeat("3", 96)}})
	w.Authorities = []string{mine}
	if s := w.Compare(uvm); !s.IsExact() {
		t.Errorf("%+v", s)
	}
	// Without a list, the measurements of machines are not judged.
	machine := rollout.Wanted{Platform: claims.CVM, Authorities: []string{mine}}
	for _, spec := range []lint.Spec{{Platform: claims.CVM}, {Platform: claims.CVM, Measurements: []string{strings.Repeat("3", 96)}}} {
		if s := machine.Compare(policy(t, spec)); !s.IsExact() {
			t.Errorf("%+v", s)
		}
	}
}

func TestPlan(t *testing.T) {
	old := manifest("Deployment", "orders", "shop", "package a1\n") + manifest("Pod", "job", "shop", "package b1\n") +
		manifest("Pod", "same", "shop", "package c\n") + manifest("Pod", "gone", "shop", "package d\n")
	now := manifest("Deployment", "orders", "shop", "package a2\n") + manifest("Pod", "job", "shop", "package b2\n") +
		manifest("Pod", "same", "shop", "package c\n") + manifest("Pod", "heir", "shop", "package d\n")
	p := rollout.NewPlan(rollout.Files{Old: read(t, old), New: read(t, now), NewPath: "it's new.yaml", Vault: "contoso", Keys: []string{"k"}})
	a1, a2, b1, b2 := digest("package a1\n"), digest("package a2\n"), digest("package b1\n"), digest("package b2\n")
	c, d := digest("package c\n"), digest("package d\n")
	want := rollout.Plan{
		Pods: []rollout.PodChange{
			{`Deployment "orders"`, a1, a2}, {`Pod "job"`, b1, b2}, {`Pod "same"`, c, c}, {`Pod "heir"`, "", d}, {`Pod "gone"`, d, ""},
		},
		Allow: []string{a2, b2}, Retire: []string{a1, b1}, // d is still used
		Steps: []rollout.Step{
			{"", []string{"skrctl key policy allow k --vault contoso --measurement " + a2 + "," + b2}},
			{"", []string{"kubectl delete pod/job --namespace shop", `kubectl apply -f 'it'\''s new.yaml'`,
				"kubectl rollout status deployment/orders --namespace shop", "kubectl wait --for=condition=Ready pod/job --namespace shop",
				"kubectl wait --for=condition=Ready pod/same --namespace shop", "kubectl wait --for=condition=Ready pod/heir --namespace shop"}},
			{"", []string{"skrctl key policy retire k --vault contoso --measurement " + a1 + "," + b1}},
		},
	}
	for i := range p.Steps {
		if p.Steps[i].Title == "" {
			t.Errorf("step %d has no title", i)
		}
		p.Steps[i].Title = ""
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if p := rollout.NewPlan(rollout.Files{Old: read(t, old), New: read(t, old)}); !p.IsEmpty() || len(p.Steps) != 0 {
		t.Errorf("%+v", p)
	}
}

// A workload that has another name now runs on beside the new one, until it is deleted: it must not
// lose the key before.
func TestPlanOfRenamed(t *testing.T) {
	old := manifest("Deployment", "orders-1", "shop", "package a1\n") + manifest("Deployment", "stays", "", "package b\n")
	now := manifest("Deployment", "orders-2", "shop", "package a2\n") + manifest("Deployment", "stays", "", "package b\n")
	p := rollout.NewPlan(rollout.Files{Old: read(t, old), New: read(t, now), NewPath: "new"})
	if len(p.Steps) != 4 || !slices.Equal(p.Steps[2].Commands, []string{"kubectl delete deployment/orders-1 --namespace shop"}) ||
		!strings.HasPrefix(p.Steps[3].Commands[0], "skrctl key policy retire ") {
		t.Errorf("%+v", p.Steps)
	}
}

// Each kind of file is deployed with its tool.
func TestPlanTools(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte("package x\n"))
	group := `{"resources":[{"type":"Microsoft.ContainerInstance/containerGroups","name":"g",` +
		`"properties":{"confidentialComputeProperties":{"ccePolicy":"` + encoded + `"}}}]}`
	for text, want := range map[string]string{
		group: "az deployment group create --resource-group GROUP --template-file new",
		`{"parameters":{"policy":{"value":"` + encoded + `"}}}`: "az deployment group create --resource-group GROUP --template-file TEMPLATE --parameters new",
		"package x\n": "# deploy the workload that has the policy of new",
		manifest("StatefulSet", "s", "db", "package x\n"): "kubectl apply -f new\nkubectl rollout status statefulset/s --namespace db",
	} {
		p := rollout.NewPlan(rollout.Files{Old: read(t, "package old\n"), New: read(t, text), NewPath: "new"})
		if got := strings.Join(p.Steps[1].Commands, "\n"); got != want {
			t.Errorf("%s: %s", text, got)
		}
		if got := p.Steps[0].Commands[0]; !strings.HasPrefix(got, "skrctl key policy allow KEY --vault VAULT --measurement ") {
			t.Errorf("%s", got)
		}
	}
}

// An inventory that was accepted is complete, and none makes the parser fail.
func FuzzInventory(f *testing.F) {
	f.Add([]byte(inventory))
	f.Add([]byte("vault: v\nplatform: cvm\nauthorities: [a]\nkeys: [{name: k, measurements: ['']}]"))
	f.Add([]byte("keys: [{}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, err := rollout.ParseInventory(text)
		if err != nil {
			return
		}
		for _, key := range parsed.Keys {
			if key.Name == "" || key.Vault == "" || len(key.Authorities) == 0 || key.Platform == "" {
				t.Fatalf("%+v is not complete", key)
			}
		}
	})
}
