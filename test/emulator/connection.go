package emulator

import (
	"crypto/tls"
	"errors"
	"strings"
	"time"

	"skr/test/emulator/fault"
)

// certificate returns the certificate for a TLS handshake. A fault rule may
// replace it with a defective one.
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

// clock returns the clock of a service. A fault rule may offset it.
func (c *Cloud) clock(service string) func() time.Time {
	return func() time.Time { return c.config.Now().Add(c.faults.Offset(service)) }
}
