package images

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"skr/internal/sidecar/keyproviderpb"
	"skr/test/program"
)

// TestServerType: the drop-in's variable moves the listener to gRPC.
func TestServerType(t *testing.T) {
	t.Parallel()
	_, port, _ := net.SplitHostPort(program.FreeAddress(t))
	p := newPod(t)
	check := func(env ...string) (string, error) {
		process := exec.Command(program.Path("skr"), "healthcheck")
		process.Env = append(os.Environ(), env...)
		out, err := process.CombinedOutput()
		return string(out), err
	}
	if out, err := check("ServerType=grpc", "Port="+port); err == nil || !strings.Contains(out, "is not ready") {
		t.Errorf("nothing listens there, and healthcheck prints %s", out)
	}
	process := exec.Command(program.Path("skr"))
	process.Env = append(p.cloud.Environment(p.cloud.Machine()), "ServerType=GRPC", "Port="+port)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = process.Process.Signal(os.Interrupt)
		_ = process.Wait()
	}()
	out, err := exec.Command("sh", "-c", "ServerType=grpc Port="+port+" "+program.Path("skr")+" healthcheck --wait 15s").CombinedOutput()
	if err != nil || string(out) != "ready\n" {
		t.Errorf("healthcheck: %v %s", err, out)
	}
}

// TestCallers: the access rules of the HTTP routes also apply to the gRPC methods.
func TestCallers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	writeFile(t, token, []byte("token-of-the-image-puller"))
	socket := filepath.Join(os.TempDir(), fmt.Sprintf("skr-grpc-%d.sock", os.Getpid()))
	t.Cleanup(func() { _ = os.Remove(socket) })
	hello := "/key_provider.KeyProviderService/SayHello"
	newPod(t, `SKR_ACCESS=[{"name":"me","uid":`+fmt.Sprint(os.Getuid())+`,"routes":["`+hello+`"]},`+
		`{"name":"puller","token_file":"`+token+`","routes":["*"]}]`, "SKR_GRPC_LISTEN=unix:"+socket)
	for _, c := range []struct {
		name, target, token, authority string
		method                         string
		code                           codes.Code
	}{
		{"by uid", "unix:" + socket, "", "", "hello", codes.OK},
		{"another method", "unix:" + socket, "", "", "wrap", codes.PermissionDenied},
		{"by token", "unix:" + socket, "token-of-the-image-puller", "", "wrap", codes.OK},
		{"wrong token", "unix:" + socket, "token-of-somebody-else-", "", "wrap", codes.PermissionDenied},
		{"any authority on a socket", "unix:" + socket, "", "evil.example", "hello", codes.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := call(t, c.target, c.token, c.authority, c.method); got != c.code {
				t.Errorf("got %v, want %v", got, c.code)
			}
		})
	}
}

// TestAuthority: an authority that does not mean loopback comes from a page that rebinds a
// name.
func TestAuthority(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	if got := call(t, p.address, "", "evil.example", "hello"); got != codes.PermissionDenied {
		t.Errorf("got %v, want PermissionDenied", got)
	}
	for _, authority := range []string{"localhost:1", "0.0.0.0:50000", "127.0.0.2", "skr.localhost"} {
		if got := call(t, p.address, "", authority, "hello"); got != codes.OK {
			t.Errorf("%s: got %v, want OK", authority, got)
		}
	}
}

func call(t *testing.T, target, token, authority, method string) codes.Code {
	t.Helper()
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if authority != "" {
		options = append(options, grpc.WithAuthority(authority))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := keyproviderpb.NewKeyProviderServiceClient(conn)
	ctx := t.Context()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return status.Code(calling(ctx, client, method))
}

func calling(ctx context.Context, client keyproviderpb.KeyProviderServiceClient, method string) error {
	if method == "hello" {
		_, err := client.SayHello(ctx, &keyproviderpb.HelloRequest{Name: "you"})
		return err
	}
	_, err := client.WrapKey(ctx, &keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: wrapInput("layers", "x")})
	return err
}
