package apiserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// server is an API server with its store, and a client with the rights of an administrator.
type server struct {
	dir       string
	url       string
	client    *http.Client
	etcd, api *process

	resources map[string]resource // by API version and kind
	mutex     sync.Mutex
}

// start starts etcd and the API server, and waits until it is ready.
func start(ctx context.Context, tools programs) (s *server, err error) {
	s = &server{resources: map[string]resource{}}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "skr-apiserver-"); err != nil {
		return s, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return s, err
	}
	if err := s.certify(); err != nil {
		return s, fmt.Errorf("making certificates: %w", err)
	}
	if s.etcd, err = startProcess(s.dir, tools.etcd, s.etcdFlags(ports[0], ports[1])...); err != nil {
		return s, err
	}
	if s.api, err = startProcess(s.dir, tools.api, s.apiFlags(ports[0], ports[2])...); err != nil {
		return s, err
	}
	s.url = "https://127.0.0.1:" + ports[2]
	return s, s.ready(ctx)
}

// certify writes the certificates and the kubeconfig of the administrator.
func (s *server) certify() error {
	a, err := newAuthority(s.dir)
	if err != nil {
		return err
	}
	for _, name := range []string{"etcd", "server", "accounts"} {
		if err := a.server(name); err != nil {
			return err
		}
	}
	if err := a.user("admin", "system:masters"); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(s.file("admin.crt"), s.file("admin.key"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	s.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13},
	}}
	return nil
}

func (s *server) file(name string) string { return filepath.Join(s.dir, name) }

func (s *server) etcdFlags(port, peers string) []string {
	url, peer := "https://127.0.0.1:"+port, "https://127.0.0.1:"+peers
	return []string{
		"--name=test", "--data-dir=" + s.file("data"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=" + url, "--advertise-client-urls=" + url,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=test=" + peer,
		"--client-cert-auth", "--trusted-ca-file=" + s.file("ca.crt"), "--cert-file=" + s.file("etcd.crt"), "--key-file=" + s.file("etcd.key"),
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + s.file("ca.crt"),
		"--peer-cert-file=" + s.file("etcd.crt"), "--peer-key-file=" + s.file("etcd.key"),
	}
}

// apiFlags returns the flags of the API server. Its admission plugins are those that are on
// by default; PodSecurity and ServiceAccount are among them.
func (s *server) apiFlags(etcd, port string) []string {
	return []string{
		"--etcd-servers=https://127.0.0.1:" + etcd, "--etcd-cafile=" + s.file("ca.crt"),
		"--etcd-certfile=" + s.file("etcd.crt"), "--etcd-keyfile=" + s.file("etcd.key"),
		"--bind-address=127.0.0.1", "--secure-port=" + port,
		"--tls-cert-file=" + s.file("server.crt"), "--tls-private-key-file=" + s.file("server.key"), "--client-ca-file=" + s.file("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + s.file("accounts.crt"),
		"--service-account-signing-key-file=" + s.file("accounts.key"),
		"--service-cluster-ip-range=10.0.0.0/24", "--allow-privileged", "--endpoint-reconciler-type=none",
	}
}

// ready waits until /readyz answers 200, or a program ends.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	last := ""
	for {
		status, body, err := s.get(ctx, "/readyz?verbose")
		if err == nil && status == http.StatusOK {
			return nil
		}
		if err == nil {
			last = string(body)
		}
		select {
		case <-s.etcd.ended:
			return fmt.Errorf("etcd ended: %w\n%s", s.etcd.err, s.etcd.log())
		case <-s.api.ended:
			return fmt.Errorf("kube-apiserver ended: %w\n%s", s.api.err, s.api.log())
		case <-ctx.Done():
			return fmt.Errorf("kube-apiserver is not ready: %w\n%s\n%s", context.Cause(ctx), last, s.api.log())
		case <-again.C:
		}
	}
}

// stop ends both programs and removes their files.
func (s *server) stop() {
	s.api.stop()
	s.etcd.stop()
	for range 10 { // an interrupted test may write meanwhile, which makes this fail
		if s.dir == "" || os.RemoveAll(s.dir) == nil {
			return
		}
	}
}

// kubeconfig is the file that helm reads.
const kubeconfig = `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: admin}}]
clusters: [{name: test, cluster: {server: %q, certificate-authority: ca.crt}}]
users: [{name: admin, user: {client-certificate: admin.crt, client-key: admin.key}}]
`

// prepare writes the kubeconfig, places the temporary files of the tests in the server's
// directory, because an interrupted test does not remove them, and creates what the cluster of an operator has before skr
// is installed: runtime classes, and custom resource definitions.
func (s *server) prepare(ctx context.Context) error {
	if err := os.WriteFile(s.file("kubeconfig"), fmt.Appendf(nil, kubeconfig, s.url), 0o600); err != nil {
		return err
	}
	if err := os.Mkdir(s.file("tmp"), 0o700); err != nil {
		return err
	}
	if err := os.Setenv("TMPDIR", s.file("tmp")); err != nil {
		return err
	}
	for _, class := range []string{"kata-cc-isolation", "kata-remote"} {
		text := fmt.Sprintf("apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: %s}\nhandler: kata\n", class)
		if err := s.create(ctx, text, "", nil); err != nil {
			return err
		}
	}
	return s.define(ctx)
}
