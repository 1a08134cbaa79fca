package emulator

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

const certificateFile = "client-certificate.pem"

// ClientCertificate writes a certificate of the workload's application and its
// key below Config.Dir, and returns the variable with the file's name.
func (c *Cloud) ClientCertificate() (string, error) {
	if _, err := c.credential(); err != nil {
		return "", fmt.Errorf("emulator: making a client certificate: %w", err)
	}
	return "AZURE_CLIENT_CERTIFICATE_PATH=" + c.path(certificateFile), nil
}

// writeCredential makes a key and its certificate, and writes both.
func (c *Cloud) writeCredential() (*x509.Certificate, error) {
	signer, err := c.authority.StatementSigner("workload")
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(signer.Key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(signer.Chain[0])
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	_ = pem.Encode(&text, &pem.Block{Type: "PRIVATE KEY", Bytes: key})             // a buffer takes everything
	_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}) // a buffer takes everything
	return certificate, os.WriteFile(c.path(certificateFile), text.Bytes(), 0o600)
}
