// Package host does with an image what the host of a container group does before it starts a
// container: it reads the layers that it will mount, and fetches the signed fragments that
// are attached to the image.
package host

import (
	"context"
	"fmt"

	"skr/internal/operator/execpolicy"
	"skr/internal/operator/fragment"
	"skr/test/emulator/utilityvm"
)

// platformEnv are variables that Confidential ACI adds.
var platformEnv = []string{"TERM=xterm", "HOSTNAME=SandboxHost-1", "Fabric_NodeIPOrFQDN=10.92.0.4"}

// Image is a pulled image.
type Image struct {
	Container utilityvm.Container
	Fragments [][]byte // unverified
}

// Pull reads an image: REGISTRY/REPOSITORY[:TAG|@DIGEST] or oci:DIRECTORY[:TAG]. The container
// gets the image's variables, the platform's and env.
func Pull(ctx context.Context, name string, env ...string) (Image, error) {
	image, err := pull(ctx, name)
	if err != nil {
		return Image{}, fmt.Errorf("host: pulling %s: %w", name, err)
	}
	image.Container.Env = append(append(image.Container.Env, platformEnv...), env...)
	return image, nil
}

func pull(ctx context.Context, name string) (i Image, err error) {
	image, err := fragment.Open(ctx, name)
	if err != nil {
		return i, err
	}
	listed, err := fragment.FromImage(ctx, image, fragment.Platform{})
	if err != nil {
		return i, err
	}
	if i.Fragments, err = fragment.Fetch(ctx, image); err != nil {
		return i, err
	}
	i.Container = utilityvm.Container{
		Name: name, Layers: listed.Layers, Command: listed.Command, Env: patterns(listed.EnvRules), WorkingDir: listed.WorkingDir,
	}
	return i, nil
}

// patterns returns the variables of an image, of which each has a rule that is its text.
func patterns(rules []execpolicy.EnvRule) (env []string) {
	for _, rule := range rules {
		env = append(env, rule.Pattern)
	}
	return env
}
