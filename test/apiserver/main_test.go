package apiserver

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"
)

// longest is how long a run may take. It ends before the timeout of go test, which would
// leave the files behind.
const longest = 25 * time.Minute

// cluster is the API server of all tests, and tools are the programs that they run.
var (
	cluster *server
	tools   programs
)

// announced makes the test binary print the directory of its API server, and which processes
// run, when a test has started a program. TestInterrupt reads it.
const announced = "SKR_TEST_APISERVER_ANNOUNCED"

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	interrupted = ctx
	code := run(ctx, m)
	stop()
	cancel()
	os.Exit(code)
}

// run starts the API server, runs the tests, and stops the API server also after a failure
// or an interrupt.
func run(ctx context.Context, m *testing.M) int {
	var err error
	if tools, err = build(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if cluster, err = start(ctx, tools); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cluster.stop()
	if err := cluster.prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Getenv(announced) != "" {
		var once sync.Once
		started = func(pid int) {
			once.Do(func() { fmt.Println(cluster.dir, cluster.etcd.cmd.Process.Pid, cluster.api.cmd.Process.Pid, pid) })
		}
	}
	ended := make(chan int, 1)
	go func() { ended <- m.Run() }()
	select {
	case code := <-ended:
		return code
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "interrupted: stopping the API server")
		running.Lock()
		return 130
	case <-cluster.api.ended:
		fmt.Fprintf(os.Stderr, "kube-apiserver ended: %v\n%s", cluster.api.err, cluster.api.log())
		return 1
	}
}
