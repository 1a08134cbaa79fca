package uvmtest

import (
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/veraison/go-cose"
)

// Envelope is an unsigned message, so that a test can change it.
type Envelope struct {
	Protected   cose.ProtectedHeader
	Unprotected cose.UnprotectedHeader
	Payload     []byte
	// Algorithm is the signature algorithm. It is written into the protected
	// header.
	Algorithm cose.Algorithm
	// Key is the signing key: the leaf's unless replaced.
	Key crypto.Signer
}

// Endorse returns an endorsement that gives the measurement of a utility VM the
// security version number, in the layout with a JSON payload.
func (e *Endorser) Endorse(measurement [48]byte, svn uint64, feed string) ([]byte, error) {
	envelope, err := e.Envelope(measurement, svn, feed)
	if err != nil {
		return nil, err
	}
	return envelope.Sign()
}

// EndorseBare returns the same endorsement in the layout since ContainerPlat
// 0.2.10: CWT claims in the header, the bare measurement as the payload.
func (e *Endorser) EndorseBare(measurement [48]byte, svn uint64, feed string) ([]byte, error) {
	return e.BareEnvelope(measurement, svn, feed).Sign()
}

// Envelope returns the message that Endorse signs.
func (e *Endorser) Envelope(measurement [48]byte, svn uint64, feed string) (*Envelope, error) {
	payload, err := json.Marshal(map[string]any{
		"x-ms-sevsnpvm-guestsvn":          strconv.FormatUint(svn, 10),
		"x-ms-sevsnpvm-guestsvn-int":      svn,
		"x-ms-sevsnpvm-launchmeasurement": hex.EncodeToString(measurement[:]),
	})
	if err != nil {
		return nil, fmt.Errorf("uvmtest: encoding the payload: %w", err)
	}
	envelope := e.envelope(payload)
	envelope.Protected[int64(3)] = "application/json"
	envelope.Protected["iss"] = e.Issuer()
	envelope.Protected["feed"] = feed
	return envelope, nil
}

// BareEnvelope returns the message that EndorseBare signs.
func (e *Endorser) BareEnvelope(measurement [48]byte, svn uint64, feed string) *Envelope {
	envelope := e.envelope(measurement[:])
	envelope.Protected[int64(258)] = int64(-43) // SHA-384
	envelope.Protected[int64(259)] = "application/json"
	envelope.Protected[int64(15)] = map[any]any{int64(1): e.Issuer(), int64(2): feed, "svn": svn}
	return envelope
}

func (e *Endorser) envelope(payload []byte) *Envelope {
	chain := make([]any, 0, len(e.chain))
	for _, der := range e.Chain() {
		chain = append(chain, der)
	}
	return &Envelope{
		Protected:   cose.ProtectedHeader{int64(33): chain},
		Unprotected: cose.UnprotectedHeader{},
		Payload:     payload,
		Algorithm:   cose.AlgorithmES384,
		Key:         e.key,
	}
}

// Sign encodes and signs the message.
func (v *Envelope) Sign() ([]byte, error) {
	signer, err := cose.NewSigner(v.Algorithm, v.Key)
	if err != nil {
		return nil, fmt.Errorf("uvmtest: using the key: %w", err)
	}
	v.Protected.SetAlgorithm(v.Algorithm)
	raw, err := cose.Sign1(rand.Reader, signer, cose.Headers{Protected: v.Protected, Unprotected: v.Unprotected}, v.Payload, nil)
	if err != nil {
		return nil, fmt.Errorf("uvmtest: signing: %w", err)
	}
	return raw, nil
}
