package serving

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMain runs the tests or, as a second process, listens and reports that.
func TestMain(m *testing.M) {
	if address := os.Getenv("HOLD"); address != "" {
		network, address, _ := strings.Cut(address, " ")
		if _, err := net.Listen(network, address); err != nil {
			panic(err)
		}
		fmt.Println("listening")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the test ends it
		return
	}
	os.Exit(m.Run())
}

// hold makes another process listen on the address.
func hold(t *testing.T, network, address string) (pid int) {
	t.Helper()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), "HOLD="+network+" "+address)
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = other.Wait() })
	if line := make([]byte, 9); !isListening(stdout.Read(line)) || string(line) != "listening" {
		t.Fatalf("the other process prints %q", line)
	}
	return other.Process.Pid
}

func isListening(n int, err error) bool { return n == 9 && err == nil }

func freeAddress(t *testing.T, host string) string {
	t.Helper()
	socket, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	return socket.Addr().String()
}

// The real /proc names a real process, whichever address is the wildcard.
func TestWithHolder(t *testing.T) {
	for name, pair := range map[string]func(port string) (held, wanted string){
		"the same":       func(port string) (string, string) { return "127.0.0.1:" + port, "127.0.0.1:" + port },
		"held by all":    func(port string) (string, string) { return ":" + port, "127.0.0.1:" + port },
		"wanted for all": func(port string) (string, string) { return "127.0.0.1:" + port, ":" + port },
	} {
		_, port, _ := net.SplitHostPort(freeAddress(t, "127.0.0.1"))
		held, wanted := pair(port)
		pid := hold(t, "tcp", held)
		_, err := net.Listen("tcp", wanted)
		if err == nil {
			t.Fatalf("%s: both listen", name)
		}
		err = WithHolder(err)
		want := fmt.Sprintf("address already in use: process %d (serving.test) listens there", pid)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, want %q", name, err, want)
		}
	}
}

func TestHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	pid := hold(t, "unix", path)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if got, want := Holder(conn), fmt.Sprintf("process %d (serving.test) listens on this socket", pid); !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Other errors stay unchanged.
func TestWithHolderOfNothingElse(t *testing.T) {
	_, err := net.Listen("tcp", "127.0.0.1:port")
	for _, err := range []error{nil, errors.New("other"), err} {
		if got := WithHolder(err); got != err { //nolint:errorlint // compares the value itself
			t.Errorf("%v was changed to %v", err, got)
		}
	}
}

const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// fake makes a proc file system with a listener of user 1000 on 127.0.0.1:8080.
func fake(t *testing.T, processes map[int]fakeProcess) proc {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "net", "tcp"), header+
		"   0: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0\n"+ // a connection
		"   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12 1 0\n")
	for pid, p := range processes {
		base := filepath.Join(dir, strconv.Itoa(pid))
		write(t, filepath.Join(base, "comm"), p.command+"\n")
		write(t, filepath.Join(base, "status"), "Name:\tx\nUid:\t0\t"+p.uid+"\t0\t0\n")
		if p.file == "" {
			continue // its files cannot be read
		}
		if err := os.Mkdir(filepath.Join(base, "fd"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(p.file, filepath.Join(base, "fd", "7")); err != nil {
			t.Fatal(err)
		}
	}
	return proc(dir)
}

type fakeProcess struct{ command, uid, file string }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDescribe(t *testing.T) {
	self := os.Getpid()
	loopback := netip.MustParseAddrPort("127.0.0.1:8080")
	for name, c := range map[string]struct {
		processes map[int]fakeProcess
		wanted    netip.AddrPort
		want      string
	}{
		"known": {map[int]fakeProcess{41: {"sh", "1000", "socket:[11]"}, 42: {"skr", "1000", "socket:[12]"}}, loopback,
			"process 42 (skr) listens there; stop it"},
		"a name for a terminal": {map[int]fakeProcess{42: {"a\x1b[2J", "1000", "socket:[12]"}}, loopback, `process 42 (a\x1b[2J) listens there`},
		"hidden": {map[int]fakeProcess{41: {"sh", "1000", "socket:[11]"}, 42: {"nginx", "1000", ""}, 43: {"root", "0", ""}}, loopback,
			"a process of user 1000 listens there, probably process 42 (nginx), which hides its files"},
		"hidden namesake": {map[int]fakeProcess{self: {"skr", "1000", "pipe:[1]"}, 42: {"nginx", "1000", ""}, 43: {"skr", "1000", ""}}, loopback,
			"probably process 43 (skr), which hides"},
		"this one":  {map[int]fakeProcess{self: {"skr", "1000", "socket:[12]"}}, loopback, "this process itself listens there"},
		"elsewhere": {map[int]fakeProcess{41: {"sh", "1000", "socket:[11]"}}, loopback, "a process of user 1000 listens there, in another container"},
		"too many": {map[int]fakeProcess{1: {"a", "1000", ""}, 2: {"b", "1000", ""}, 3: {"c", "1000", ""}, 4: {"d", "1000", ""}}, loopback,
			"a process of user 1000 listens there, in another container"},
		"not seen": {nil, netip.MustParseAddrPort("127.0.0.1:8081"), "no process that listens there can be seen"},
	} {
		if got := fake(t, c.processes).describe(c.wanted); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := proc(t.TempDir()).describe(loopback); !strings.Contains(got, "no process") {
		t.Errorf("without a proc file system: %q", got)
	}
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000000000000000000001000000:C350": "[::1]:50000",
		"0000000000000000FFFF00000100007F:1F90": "[::ffff:127.0.0.1]:8080",
	} {
		if got, ok := parseAddress(text); !ok || got.String() != want {
			t.Errorf("%s: %v, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", ":1F90", "0100007F", "0100007F:", "01:1F90", "zz00007F:1F90", "0100007F:1F9000", "0100007F00:1F90"} {
		if got, ok := parseAddress(text); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}
