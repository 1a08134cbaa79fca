package access

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"skr/internal/refusal"
)

// childSocket makes the test binary a child. The child connects to that socket, passes the
// connection on through descriptor 3 and lives until its standard input ends.
const childSocket = "ACCESS_TEST_SOCKET"

func TestMain(m *testing.M) {
	if path := os.Getenv(childSocket); path != "" {
		if err := connectAndPassOn(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func connectAndPassOn(path string) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	file, err := c.(*net.UnixConn).File()
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(file.Fd())), nil, 0); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// child has opened the connection that the test now holds.
type child struct {
	*exec.Cmd
	conn  net.Conn
	stdin io.Closer
}

// startChild starts a child with other credentials, or with our own if nil.
func startChild(t *testing.T, path string, as *syscall.Credential) *child {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(pair[0]) }()
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	cmd := exec.Command("/proc/self/exe") // another user might not reach the binary by its path
	cmd.Env = append(os.Environ(), childSocket+"="+path)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	return &child{cmd, receiveConn(t, pair[0]), stdin}
}

func receiveConn(t *testing.T, fd int) net.Conn {
	t.Helper()
	space := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(fd, make([]byte, 1), space, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(space[:n])
	if err != nil || len(messages) != 1 {
		t.Fatalf("the child passed on nothing: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[0]), "passed on")
	defer func() { _ = file.Close() }()
	c, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// exit ends the child. If it is not reaped, its process id stays in use.
func (c *child) exit(t *testing.T, reap bool) {
	t.Helper()
	_ = c.stdin.Close()
	if err := unix.Waitid(unix.P_PID, c.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if reap {
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// ask sends a request on an open connection. The answer is the caller or the reason for the refusal.
func ask(t *testing.T, c net.Conn) string {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: local\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// listenUnix opens a socket that every user may connect to.
func listenUnix(t *testing.T) net.Listener {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: 0o755, filepath.Join(dir, "s"): 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// serve answers each request with the caller according to the policy.
func serve(t *testing.T, l net.Listener, p *Policy) {
	t.Helper()
	server := &http.Server{ConnContext: ConnContext, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := p.Identify(r.Context(), r.Header.Get("Authorization"))
		if refused, ok := errors.AsType[*refusal.Error](err); ok {
			_, _ = io.WriteString(w, refused.Public())
			return
		}
		_, _ = io.WriteString(w, c.String())
	})}
	go func() { _ = server.Serve(Listen(l)) }()
	t.Cleanup(func() { _ = server.Close() })
}

func TestPeerOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a process of another user")
	}
	l := listenUnix(t)
	serve(t, l, newPolicy(t, Rule{Name: "app", UID: new(uint32(1234)), GID: new(uint32(2345)), Routes: routes}))
	for _, tc := range []struct {
		as   *syscall.Credential
		want string
	}{
		{&syscall.Credential{Uid: 1234, Gid: 2345}, "uid 1234 gid 2345 pid %d rule app"},
		{&syscall.Credential{Uid: 1235, Gid: 2345}, "caller not allowed: no access rule is for uid 1235 gid 2345"},
		{&syscall.Credential{Uid: 1234, Gid: 1, Groups: []uint32{2345}}, "caller not allowed: no access rule is for uid 1234 gid 1:"},
		{nil, "caller not allowed: no access rule is for uid 0 gid 0"},
	} {
		c := startChild(t, l.Addr().String(), tc.as)
		want := strings.ReplaceAll(tc.want, "%d", fmt.Sprint(c.Process.Pid))
		if got := ask(t, c.conn); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

const hasEnded = "caller not allowed: the process that opened this connection has ended, connect anew"

// A connection that outlives the process that opened it proves nothing.
func TestPeerThatHasExited(t *testing.T) {
	for name, reap := range map[string]bool{"zombie": false, "reaped": true} {
		t.Run(name, func(t *testing.T) {
			l := listenUnix(t)
			serve(t, l, newPolicy(t, ownRule()))
			c := startChild(t, l.Addr().String(), nil)
			if got := ask(t, c.conn); !strings.HasSuffix(got, fmt.Sprintf(" pid %d rule own", c.Process.Pid)) {
				t.Errorf("alive: %q", got)
			}
			c.exit(t, reap)
			if got := ask(t, c.conn); got != hasEnded {
				t.Errorf("exited: %q", got)
			}
		})
	}
}

// A peer that ends before its connection is accepted is refused. The listener keeps
// running.
func TestPeerThatExitsBeforeAccept(t *testing.T) {
	for name, reap := range map[string]bool{"zombie": false, "reaped": true} {
		t.Run(name, func(t *testing.T) {
			l := listenUnix(t)
			gone, alive := startChild(t, l.Addr().String(), nil), startChild(t, l.Addr().String(), nil)
			gone.exit(t, reap)
			serve(t, l, newPolicy(t, ownRule()))
			if got := ask(t, gone.conn); got != hasEnded {
				t.Errorf("exited: %q", got)
			}
			if got := ask(t, alive.conn); !strings.HasSuffix(got, " rule own") {
				t.Errorf("alive: %q", got)
			}
		})
	}
}

func ownRule() Rule {
	return Rule{Name: "own", UID: new(uint32(os.Getuid())), GID: new(uint32(os.Getgid())), Routes: routes}
}

// The process descriptor is closed together with the connection.
func TestPidfdIsClosed(t *testing.T) {
	l := Listen(listenUnix(t))
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := ConnContext(t.Context(), c).Value(peerKey{}).(*peer)
	if err := p.check(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.pidfd.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the descriptor is open: %v", err)
	}
	if err := p.check(); !errors.Is(err, errExited) {
		t.Errorf("a closed connection still proves something: %v", err)
	}
}

func TestTCPPassesUntouched(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(inner)
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, ok := c.(*net.TCPConn); !ok || ConnContext(t.Context(), c) != t.Context() {
		t.Errorf("the connection became a %T", c)
	}
}

// Without a process descriptor, the peer's credentials do not count. A token does.
func TestPeerWithoutPidfd(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	writeFile(t, token, firstToken)
	p := newPolicy(t, ownRule(), Rule{Name: "token", TokenFile: token, Routes: routes})
	_, err := openPID(&unix.Ucred{Pid: 0})
	unseen := &peer{credentials: &unix.Ucred{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}}
	unseen.keep(-1, err)
	ctx := context.WithValue(t.Context(), peerKey{}, unseen)
	_, err = p.Identify(ctx, "")
	wantRefusal(t, err, "share the process namespace, or use a rule with token_file")
	c, err := p.Identify(ctx, "Bearer "+firstToken)
	if err != nil || c.matched != 0b10 {
		t.Errorf("got %v, rules %b, %v", c, c.matched, err)
	}
}

// Before Linux 6.5, the process is opened by its id.
func TestOpenPID(t *testing.T) {
	l := listenUnix(t)
	c := startChild(t, l.Addr().String(), nil)
	own := unix.Ucred{Pid: int32(c.Process.Pid), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	open := func(u unix.Ucred) *peer {
		p := &peer{}
		p.keep(openPID(&u))
		return p
	}
	wantExited := func(name string, p *peer) {
		t.Helper()
		if err := p.check(); !errors.Is(err, errExited) {
			t.Errorf("%s: %v", name, err)
		}
	}
	alive := open(own)
	defer alive.close()
	if err := alive.check(); err != nil {
		t.Error(err)
	}
	wantExited("other user", open(unix.Ucred{Pid: own.Pid, Uid: own.Uid + 1, Gid: own.Gid}))
	wantExited("other group", open(unix.Ucred{Pid: own.Pid, Uid: own.Uid, Gid: own.Gid + 1}))
	c.exit(t, true)
	wantExited("alive before", alive)
	wantExited("gone", open(own))
}

func BenchmarkIdentifyPeer(b *testing.B) {
	pidfd, err := unix.PidfdOpen(unix.Getpid(), 0)
	p := &peer{credentials: &unix.Ucred{Uid: 1000}}
	p.keep(pidfd, err)
	defer p.close()
	policy, err := New(Config{Rules: []Rule{{Name: "app", UID: new(uint32(1000)), Routes: routes}}, Routes: routes})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.WithValue(b.Context(), peerKey{}, p)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Identify(ctx, ""); err != nil {
			b.Fatal(err)
		}
	}
}
