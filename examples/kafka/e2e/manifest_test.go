package e2e

import (
	"bytes"
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// documents returns the documents of a manifest.
func documents(t *testing.T, file string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(manifests + file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(text, []byte("\n---\n"))
}

// decode decodes strictly: an unknown field is an error, as in kubectl.
func decode[T any](t *testing.T, document []byte) *T {
	t.Helper()
	object := new(T)
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		t.Fatal(err)
	}
	return object
}

func readPod(t *testing.T, file string) *corev1.Pod {
	t.Helper()
	return decode[corev1.Pod](t, documents(t, file)[0])
}

func value(c corev1.Container, name string) string {
	for _, v := range c.Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// TestManifestsFollowTheArticle checks that the pods have the names in the
// documentation.
func TestManifestsFollowTheArticle(t *testing.T) {
	consumer, producer := readPod(t, "consumer.yaml"), readPod(t, "producer.yaml")
	skr, consume, produce := consumer.Spec.Containers[0], consumer.Spec.Containers[1], producer.Spec.Containers[0]
	for what, pair := range map[string][2]string{
		"namespace":       {consumer.Namespace + " " + producer.Namespace, "kafka kafka"},
		"pods":            {consumer.Name + " " + producer.Name, "kafka-golang-consumer kafka-producer"},
		"service account": {consumer.Spec.ServiceAccountName, "workload-identity-sa"},
		"runtime class":   {*consumer.Spec.RuntimeClassName, "kata-cc-isolation"},
		"identity label":  {consumer.Labels["azure.workload.identity/use"], "true"},
		"containers":      {skr.Name + " " + consume.Name + " " + produce.Name, "skr kafka-golang-consumer kafka-producer"},
		"commands":        {skr.Command[0] + " " + consume.Command[0] + " " + produce.Command[0], "/bin/skr /consume /produce"},
		"key":             {value(consume, "SkrClientAlias"), keyName},
		"topics":          {value(consume, "TOPIC") + " " + value(produce, "TOPIC"), topic + " " + topic},
		"message":         {value(produce, "MSG"), "Azure Confidential Computing"},
		"endorsement":     {skr.VolumeMounts[0].MountPath, consumer.Spec.Volumes[0].HostPath.Path},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
		}
	}
	if !strings.HasPrefix(value(produce, "PUBKEY"), "-----BEGIN PUBLIC KEY-----\n") {
		t.Errorf("PUBKEY is %q", value(produce, "PUBKEY"))
	}
	args, err := base64.StdEncoding.DecodeString(value(skr, "SkrSideCarArgs"))
	if err != nil || !strings.Contains(string(args), `"endpoint_type":"LocalTHIM"`) {
		t.Errorf("SkrSideCarArgs is %s, %v", args, err)
	}
	text, err := os.ReadFile(manifests + "consumer.yaml")
	if err != nil || !strings.Contains(string(text), "# "+string(args)+"\n") {
		t.Errorf("the comment does not say what SkrSideCarArgs is: %v", err)
	}
	service := decode[corev1.Service](t, documents(t, "consumer.yaml")[1])
	if port := service.Spec.Ports[0]; port.Port != 80 || port.TargetPort.StrVal != consume.Ports[0].Name || consume.Ports[0].ContainerPort != 3333 ||
		service.Spec.Selector["app.kubernetes.io/name"] != consumer.Labels["app.kubernetes.io/name"] {
		t.Errorf("the service leads to %+v", service.Spec)
	}
}

// TestManifestsAreRestricted checks that the pods meet the standard
// "restricted" (Kubernetes, Pod Security Standards), except for the
// endorsement, which in a confidential pod is the utility VM's own file.
func TestManifestsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for file, expected := range map[string][]string{
		"producer.yaml": nil,
		"consumer.yaml": {"restricted volume types"},
	} {
		pod := readPod(t, file)
		var refused []string
		for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &metav1.ObjectMeta{}, &pod.Spec) {
			if !result.Allowed {
				refused = append(refused, result.ForbiddenReason)
			}
		}
		slices.Sort(refused)
		if !slices.Equal(refused, expected) {
			t.Errorf("%s: %q, want %q", file, refused, expected)
		}
	}
}

// TestStrimzi checks that the cluster has the service that the programs expect,
// and the topic.
func TestStrimzi(t *testing.T) {
	type resource struct {
		APIVersion, Kind string
		Metadata         metav1.ObjectMeta
		Spec             map[string]any
	}
	var kinds []string
	for _, document := range documents(t, "kafka.yaml") {
		r := decode[resource](t, document)
		kinds = append(kinds, r.Kind+"/"+r.Metadata.Name)
		if r.APIVersion != "kafka.strimzi.io/v1" || r.Metadata.Namespace != "kafka" {
			t.Errorf("%s is %s in namespace %q", r.Kind, r.APIVersion, r.Metadata.Namespace)
		}
	}
	if got := strings.Join(kinds, " "); got != "KafkaNodePool/dual-role Kafka/my-cluster KafkaTopic/"+topic {
		t.Errorf("it has %s", got)
	}
}
