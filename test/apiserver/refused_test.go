package apiserver

import (
	"errors"
	"strings"
	"testing"
)

// TestRefused checks that the API server of these tests refuses what is wrong: otherwise the
// other tests would show nothing.
func TestRefused(t *testing.T) {
	values := parsed(t, application+"platform: cvm\nops: {podMonitor: {enabled: true}}")
	rendered := rendered(t, "orders", "shop", values)
	for name, change := range map[string]struct{ kind, from, to, want string }{
		"field":        {"Deployment", "readinessProbe:", "readynessProbe:", `unknown field "spec.template.spec.initContainers[0].readynessProbe"`},
		"twice":        {"Deployment", "replicas: 1", "replicas: 1\n  replicas: 2", `"replicas" already set`},
		"type":         {"Deployment", "replicas: 1", "replicas: many", "cannot unmarshal string"},
		"selector":     {"Deployment", "app.kubernetes.io/instance: orders\n      app", "app.kubernetes.io/instance: other\n      app", "selector"},
		"mount":        {"Deployment", "- mountPath: /run/skr\n", "- mountPath: /run/skr\n          subpath: a\n", `volumeMounts[0].subpath"`},
		"monitor":      {"PodMonitor", "interval:", "intervall:", `unknown field "spec.podMetricsEndpoints[0].intervall"`},
		"interval":     {"PodMonitor", "interval: 30s", "interval: soon", "should match"},
		"network":      {"NetworkPolicy", "policyTypes: [Ingress]", "policyType: [Ingress]", `unknown field "spec.policyType"`},
		"claim":        {"PersistentVolumeClaim", "ReadOnlyMany", "ReadOnly", "supported values"},
		"volume":       {"PersistentVolume", "type: Directory}", "kind: Directory}", `unknown field "spec.hostPath.kind"`},
		"account":      {"ServiceAccount", "automountServiceAccountToken", "autoMountServiceAccountToken", `unknown field "autoMountServiceAccountToken"`},
		"not deployed": {"Deployment", "apiVersion: apps/v1", "apiVersion: apps/v1beta1", "404"},
	} {
		t.Run(name, func(t *testing.T) {
			document := documentOf(t, rendered, change.kind)
			changed := strings.Replace(document, change.from, change.to, 1)
			if changed == document {
				t.Fatalf("%q is not in\n%s", change.from, document)
			}
			namespace := newNamespace(t, "privileged")
			if err := cluster.create(t.Context(), placed(changed, namespace), namespace, nil); err == nil || !strings.Contains(err.Error(), change.want) {
				t.Errorf("got %v, want %q", err, change.want)
			}
		})
	}
}

// TestRefusedCustom checks that the API server knows the members of the custom kinds.
func TestRefusedCustom(t *testing.T) {
	for file, change := range map[string][3]string{
		"csi/application.yaml":   {"parameters:", "parameter:", `unknown field "spec.parameter"`},
		"virtualnodes/skr.yaml":  {"    kind: VirtualDaemonSet\n", "", "spec.template.kind"},
		"kafka/kafka.yaml":       {"kraftMetadata: shared", "kraftMetadata: own", "Unsupported value"},
		"prometheus/alerts.yaml": {"annotations:", "annotation:", "annotation\""},
	} {
		text := read(t, root+"/deploy/"+file)
		if strings.HasPrefix(file, "prometheus") {
			text = rule(t)
		}
		first := separator.Split(text, 2)[0]
		changed := strings.Replace(first, change[0], change[1], 1)
		if changed == first {
			t.Fatalf("%s has no %q", file, change[0])
		}
		namespace := newNamespace(t, "restricted")
		if err := cluster.create(t.Context(), placed(changed, namespace), namespace, nil); err == nil || !strings.Contains(err.Error(), change[2]) {
			t.Errorf("%s: got %v, want %q", file, err, change[2])
		}
	}
}

// TestRefusedPods checks that a namespace refuses the pods that its level of pod security
// forbids.
func TestRefusedPods(t *testing.T) {
	pod := podOf(t, documentOf(t, rendered(t, "orders", "shop", parsed(t, application+"platform: cvm")), "Deployment"))
	for name, change := range map[string][3]string{
		"root":         {`"runAsNonRoot":true`, `"runAsNonRoot":false`, "runAsNonRoot != true"},
		"user":         {`"runAsUser":65532`, `"runAsUser":0`, "runAsUser=0"},
		"privileged":   {`"allowPrivilegeEscalation":false`, `"privileged":true`, "privileged"},
		"capabilities": {`"drop":["ALL"]`, `"add":["SYS_ADMIN"]`, "unrestricted capabilities"},
		"seccomp":      {`"seccompProfile":{"type":"RuntimeDefault"}`, `"seccompProfile":{"type":"Unconfined"}`, "seccompProfile"},
		"volume":       {`"persistentVolumeClaim":{"claimName":"orders-vtpm","readOnly":true}`, `"hostPath":{"path":"/run/skr"}`, "hostPath"},
		"network":      {`"containers":`, `"hostNetwork":true,"containers":`, "host namespaces"},
	} {
		namespace := newNamespace(t, "restricted")
		makeAccount(t, namespace, "orders")
		changed := strings.ReplaceAll(pod, change[0], change[1])
		if changed == pod {
			t.Fatalf("%s: %s is not in\n%s", name, change[0], pod)
		}
		err := cluster.create(t.Context(), changed, namespace, nil)
		if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") || !strings.Contains(err.Error(), change[2]) {
			t.Errorf("%s: got %v, want %q", name, err, change[2])
		}
		if err := cluster.create(t.Context(), pod, namespace, nil); err != nil {
			t.Errorf("%s: the pod without the change: %v", name, err)
		}
	}
}

// TestWarned checks that a warning of the API server is an error of these tests.
func TestWarned(t *testing.T) {
	namespace := newNamespace(t, "privileged")
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: old}\nspec: {serviceAccount: default, containers: [{name: a, image: a}], " +
		"nodeSelector: {beta.kubernetes.io/os: linux}}\n"
	if err := cluster.create(t.Context(), pod, namespace, nil); !errors.Is(err, errWarned) {
		t.Errorf("got %v, want a warning", err)
	}
}

// documentOf returns the document with the first object of a kind.
func documentOf(t *testing.T, text, kind string) string {
	t.Helper()
	found, err := documents(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range found {
		if kindOf(t, document) == kind {
			return document
		}
	}
	t.Fatalf("no %s is in\n%s", kind, text)
	return ""
}
