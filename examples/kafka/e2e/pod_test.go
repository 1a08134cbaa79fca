package e2e

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"skr/examples/kafka/emulated"
	"skr/test/program"
)

// executionPolicy stands in for the output of `az confcom katapolicygen`.
const executionPolicy = "package agent_policy\n\n# the demonstration's pod, TEST ONLY\ndefault CreateContainerRequest := false\n"

// annotation is the name of the annotation with a confidential pod's policy.
const annotation = "io.katacontainers.config.agent.policy"

// stage is the article's environment on this machine.
type stage struct {
	engine   *engine
	cloud    *emulated.Cloud
	dir      string // the cloud's directory
	consumer string // consumer.yaml with its policy
	broker   string
	page     string // the page's address
	sidecar  string // the sidecar's port
	public   string // the public key in PEM
}

// setUp starts cloud and Kafka. setup-key.sh creates the key for the pod in
// consumer.yaml, or for the given measurement.
func setUp(t *testing.T, measurement string) *stage {
	t.Helper()
	s := &stage{engine: startEngine(t), page: program.FreeAddress(t)}
	_, s.sidecar, _ = net.SplitHostPort(program.FreeAddress(t))
	s.startCloud(t)
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	s.broker = kafka.ListenAddrs()[0]
	if measurement == "" {
		measurement = s.measure(t)
	}
	s.setUpKey(t, measurement)
	return s
}

func (s *stage) startCloud(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "skr-") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	policy := filepath.Join(dir, "policy.rego")
	write(t, policy, executionPolicy)
	for _, path := range []string{dir, policy} {
		if err := os.Chown(path, userID, userID); err != nil {
			t.Fatal(err)
		}
	}
	s.dir = dir
	s.cloud, err = programs.Start(t.Context(), emulated.Pod{Dir: dir, PolicyFile: policy, User: &syscall.Credential{Uid: userID, Gid: userID}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cloud.Stop)
}

// measure returns the measurement of the policy annotation, as in the article.
func (s *stage) measure(t *testing.T) string {
	t.Helper()
	pod := readPod(t, "consumer.yaml")
	pod.Annotations = map[string]string{annotation: base64.StdEncoding.EncodeToString([]byte(executionPolicy))}
	s.consumer = filepath.Join(t.TempDir(), "consumer.yaml")
	writeYAML(t, s.consumer, pod)
	out, err := s.cloud.Run(t.Context(), "", programs.Skrctl, "measure", s.consumer)
	if err != nil {
		t.Fatal(err)
	}
	measurement, _, _ := strings.Cut(out, " ")
	return measurement
}

func (s *stage) setUpKey(t *testing.T, measurement string) {
	t.Helper()
	script, err := filepath.Abs(root + "/deploy/setup-key.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, err = s.cloud.Run(t.Context(), dir, "env", "SKRCTL="+programs.Skrctl, "MAA_ENDPOINT="+s.cloud.Authority(), "WORKLOAD_MEASUREMENT="+measurement,
		"sh", script, keyName, s.cloud.Vault())
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(dir, keyName+"-pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.public = strings.TrimSpace(string(public)) // as in the block scalar |-
}

// playProducer runs the pod of producer.yaml.
func (s *stage) playProducer(t *testing.T) {
	t.Helper()
	pod := readPod(t, "producer.yaml")
	container := &pod.Spec.Containers[0]
	set(container, "PUBKEY", s.public)
	set(container, "BROKERS", s.broker)
	s.play(t, pod)
}

// playConsumer runs the pod of consumer.yaml after change.
func (s *stage) playConsumer(t *testing.T, change func(*corev1.Pod)) {
	t.Helper()
	pod := readPod(t, "consumer.yaml")
	skr, consume := &pod.Spec.Containers[0], &pod.Spec.Containers[1]
	s.mountCloud(pod, skr)
	set(skr, "Port", s.sidecar)
	for _, assignment := range s.cloud.Environment {
		if name, value, _ := strings.Cut(assignment, "="); strings.HasPrefix(name, "SKR_") {
			set(skr, name, value)
		}
	}
	set(skr, "SKR_KEYS", strings.NewReplacer("myKeyVault.vault.azure.net", s.cloud.Vault(),
		"sharedeus2.eus2.test.attest.azure.net", s.cloud.Authority()).Replace(value(*skr, "SKR_KEYS")))
	set(consume, "SkrClientURL", "http://localhost:"+s.sidecar)
	set(consume, "BROKERS", s.broker)
	set(consume, "LISTEN", s.page)
	change(pod)
	s.play(t, pod)
}

// mountCloud mounts the emulated machine's files as the manifest does, and
// passes its report socket and roots in the environment.
func (s *stage) mountCloud(pod *corev1.Pod, skr *corev1.Container) {
	pod.Spec.Volumes[0].HostPath.Path = s.cloud.Value("UVM_SECURITY_CONTEXT_DIR") + "/reference-info-base64"
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
		Name: "cloud", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: s.dir}},
	})
	skr.VolumeMounts = append(skr.VolumeMounts, corev1.VolumeMount{Name: "cloud", MountPath: s.dir})
}

// play runs a pod within podman's limits: no runtime class, no service account,
// local images, and the machine's network, where the emulated cloud listens.
func (s *stage) play(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	pod.Spec.RuntimeClassName, pod.Spec.ServiceAccountName = nil, ""
	pod.Spec.HostNetwork = true
	pod.Name = fmt.Sprintf("%s-%d", pod.Name, os.Getpid())
	for i := range pod.Spec.Containers {
		container := &pod.Spec.Containers[i]
		container.ImagePullPolicy = corev1.PullNever
		container.Ports = nil // podman maps no ports on the host's network
		container.Image = demoImage
		if container.Name == "skr" {
			container.Image = skrImage
		}
	}
	file := filepath.Join(t.TempDir(), "pod.yaml")
	writeYAML(t, file, pod)
	s.engine.play(t, file, pod.Name)
}

func set(container *corev1.Container, name, value string) {
	for i := range container.Env {
		if container.Env[i].Name == name {
			container.Env[i].Value = value
			return
		}
	}
	container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: value})
}

func writeYAML(t *testing.T, file string, object any) {
	t.Helper()
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(text))
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
