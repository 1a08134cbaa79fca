package emulator_test

import (
	"slices"
	"strings"
	"testing"

	"skr/test/emulator"
	"skr/test/emulator/utilityvm"
)

// TestEnforce: a group of which the policy does not admit a container does not start.
func TestEnforce(t *testing.T) {
	cloud := start(t, emulator.Config{})
	const policy = "package policy\ncreate_container := data.framework.create_container\ncontainers := [" +
		`{"name": "a", "command": ["/a"], "layers": ["aa"], "working_dir": "/", "env_rules": [{"pattern": "A=.+", "strategy": "re2"}]}]`
	admitted := utilityvm.Container{Name: "a", Layers: []string{"aa"}, Command: []string{"/a"}, WorkingDir: "/", Env: []string{"A=1", "B=2"}}
	other := admitted
	other.Layers = []string{"bb"}
	m, err := cloud.AddMachine("good", emulator.MachineConfig{Policy: policy, Containers: []utilityvm.Container{admitted}, Fragments: [][]byte{{1}}})
	if err != nil || !slices.Equal(m.ContainerEnvironment(0), []string{"A=1"}) {
		t.Errorf("a container of the policy: %v", err)
	}
	_, err = cloud.AddMachine("bad", emulator.MachineConfig{Policy: policy, Containers: []utilityvm.Container{admitted, other}, Fragments: [][]byte{{1}}})
	if err == nil || !strings.Contains(err.Error(), "it has other layers") || !strings.Contains(err.Error(), "verifying the fragment") {
		t.Errorf("a container that is not of the policy: %v", err)
	}
	_, err = cloud.AddMachine("machine-1", emulator.MachineConfig{Platform: emulator.TrustedLaunch, Containers: []utilityvm.Container{admitted}})
	if err == nil || !strings.Contains(err.Error(), "only container groups") {
		t.Errorf("a virtual machine with containers: %v", err)
	}
}
