package emulator

import (
	"crypto/tls"
	"errors"
	"strings"
	"time"

	"skr/test/emulator/fault"
)

// certificate answers a TLS handshake, badly where a fault rule says so.
func (c *Cloud) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	v, known := c.hosts.find(name)
	rule, faulty := fault.Rule{}, false
	if known {
		rule, faulty = c.faults.Connect(string(v.kind), fault.Refuse, fault.TLS)
	}
	switch {
	case !faulty:
		return c.authority.GetCertificate(c.hosts.allowed)(hello)
	case rule.Do == fault.TLS:
		return c.authority.Defective(name, rule.Certificate)
	}
	fault.ResetConn(hello.Conn)
	return nil, errors.New("emulator: a fault rule refuses the connection")
}

// clock of a service, which a fault rule may have set wrong.
func (c *Cloud) clock(service string) func() time.Time {
	return func() time.Time { return c.config.Now().Add(c.faults.Offset(service)) }
}
