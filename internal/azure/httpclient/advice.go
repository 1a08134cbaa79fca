package httpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"syscall"
)

// transportAdvice is what to do about an error of the transport; "" if it is none of these.
func transportAdvice(err error) string {
	for _, a := range []struct {
		is bool
		do string
	}{
		{isA[*net.DNSError](err), "check the name, and the pod's DNS"},
		{isA[x509.UnknownAuthorityError](err), "if a proxy or firewall opens TLS, exempt this host, or add its CA by ca_file"},
		{isA[x509.HostnameError](err), "check the name; another server answers in its place"},
		{isA[x509.CertificateInvalidError](err), "check this machine's clock; else another server answers in its place"},
		{isA[tls.RecordHeaderError](err), "check the port: what answers there does not speak TLS"},
		{isA[tls.AlertError](err), "check the address: the server refuses TLS as this program speaks it"},
		{errors.Is(err, syscall.ECONNREFUSED), "check the name and port, and network rules: nothing listens there"},
		{errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH), "check the pod's routes and network rules: there is no way there"},
		{errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF),
			"check firewalls and proxies on the way: the connection is torn down"},
		{errors.Is(err, context.DeadlineExceeded), "check firewalls, network rules and private endpoints on the way: nothing answers"},
	} {
		if a.is {
			return a.do
		}
	}
	return ""
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
