package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"skr/api"
	"skr/attest/snp"
	"skr/attest/vtpm"
	"skr/test/emulator"
	"skr/test/program"
)

// pods is how many processes of a node send requests at once.
const pods = 32

// hasty is a paravisor's clock that advances at each reading. It removes the two seconds
// between reports, which no guest can shorten.
func hasty() func() time.Time {
	begun, looks := time.Now(), new(atomic.Int64)
	return func() time.Time { return begun.Add(time.Duration(looks.Add(3)) * time.Second) }
}

// crowd runs a command in that many processes at once, and returns their output.
func crowd(ctx context.Context, t testing.TB, env []string, args func(pod int) (stdin string, args []string)) []string {
	t.Helper()
	printed := make([]string, pods)
	var processes sync.WaitGroup
	for pod := range pods {
		stdin, args := args(pod)
		processes.Go(func() {
			process := exec.CommandContext(ctx, program.Path("skr"), args...)
			var out, log bytes.Buffer
			process.Env, process.Stdin, process.Stdout, process.Stderr = env, strings.NewReader(stdin), &out, &log
			if err := process.Run(); err != nil {
				t.Errorf("pod %d: %v\n%s", pod, err, log.String())
			}
			printed[pod] = out.String()
		})
	}
	processes.Wait()
	return printed
}

// released makes each pod release the key.
func (l *vmLab) released(ctx context.Context, t testing.TB, env []string) {
	t.Helper()
	for pod, printed := range crowd(ctx, t, env, func(int) (string, []string) {
		return "", []string{"release", "--authority", l.AttestationHost(), "--vault", l.vault, "--key", "k"}
	}) {
		if !strings.Contains(printed, `"kty"`) {
			t.Errorf("pod %d has no key", pod)
		}
	}
}

// reported makes each pod get a report over its own data.
func reported(ctx context.Context, t testing.TB, env []string) {
	t.Helper()
	question := func(pod int) string { return fmt.Sprint("question of pod ", pod) }
	for pod, printed := range crowd(ctx, t, env, func(pod int) (string, []string) { return question(pod), []string{"attest", "raw", "--output", "json"} }) {
		var answer api.RawResponse
		if err := json.Unmarshal([]byte(printed), &answer); err != nil {
			t.Errorf("pod %d: %v", pod, err)
			continue
		}
		index, err := base64.StdEncoding.DecodeString(answer.HCLReport)
		if err != nil {
			t.Errorf("pod %d: %v", pod, err)
			continue
		}
		hcl, err := vtpm.ParseHCL(index)
		if err != nil {
			t.Errorf("pod %d: %v", pod, err)
			continue
		}
		want := snp.Bind([]byte(question(pod)))
		if got, _ := hcl.Claims().UserData(); !bytes.Equal(got, want[:]) || hcl.CheckBound() != nil {
			t.Errorf("pod %d has a report over %s", pod, hex.EncodeToString(got))
		}
	}
}

// All pods of a node get their keys and their reports at once through the agent, in a TPM
// with three slots and no resource manager.
func TestManyPods(t *testing.T) {
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.ConfidentialVM, Paravisor: hasty()})
	dir, end := l.agent(t)
	env := append(l.Environment(l.vm), append(lent(dir), "SKR_REQUEST_TIMEOUT=5m")...)
	l.released(t.Context(), t, env)
	reported(t.Context(), t, env)
	if err := end(); err != nil {
		t.Error(err)
	}
	if loaded, err := l.vm.TPM().Loaded(); err != nil || loaded != 0 {
		t.Errorf("%d objects stayed in the TPM (%v)", loaded, err)
	}
}

// BenchmarkManyPods measures how long the last of them waits.
func BenchmarkManyPods(b *testing.B) {
	l := newVMLab(b, emulator.MachineConfig{Platform: emulator.ConfidentialVM, Paravisor: hasty()})
	dir, _ := l.agent(b)
	env := append(l.Environment(l.vm), append(lent(dir), "SKR_REQUEST_TIMEOUT=5m")...)
	b.Run("releases", func(b *testing.B) {
		for b.Loop() {
			l.released(b.Context(), b, env)
		}
	})
	b.Run("reports", func(b *testing.B) {
		for b.Loop() {
			reported(b.Context(), b, env)
		}
	})
}

// A busy TPM is not a TPM without evidence. At each step that needs the TPM, the sidecar
// answers 503 with a time to retry.
func TestBusyTPM(t *testing.T) {
	t.Parallel()
	var busy atomic.Uint32
	l := newVMLab(t, emulator.MachineConfig{Platform: emulator.ConfidentialVM, TPMFault: func(code tpm2.TPMCC, _, _ tpm2.TPMHandle) tpm2.TPMRC {
		if uint32(code) == busy.Load() {
			return tpm2.TPMRCRetry
		}
		return tpm2.TPMRCSuccess
	}})
	client := l.sidecar(t, "SKR_REQUEST_TIMEOUT=10s").client
	if _, err := client.Release(t.Context(), l.request()); err != nil {
		t.Fatal(err)
	}
	for code, ask := range map[tpm2.TPMCC]func() error{
		tpm2.TPMCCRSADecrypt: func() error { _, err := client.Release(t.Context(), l.request()); return err },
		tpm2.TPMCCNVRead:     func() error { _, err := client.Report(t.Context(), []byte("data")); return err },
	} {
		busy.Store(uint32(code))
		err := ask()
		refused, ok := errors.AsType[*api.Error](err)
		if !ok || refused.Code != api.Throttled || refused.Status != http.StatusServiceUnavailable || refused.RetryAfter != 2*time.Second {
			t.Errorf("command 0x%x: %v", uint32(code), err)
		}
	}
	busy.Store(0)
	if _, err := client.Release(t.Context(), l.request()); err != nil {
		t.Errorf("a good request afterwards: %v", err)
	}
}
