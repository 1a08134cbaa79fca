package tpm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"skr/test/swtpm"
)

// lender is a machine whose TPM a relay lends to guests.
type lender struct {
	*Relay

	machine *swtpm.Machine
	guests  sync.WaitGroup
}

func lend(t *testing.T, config swtpm.Config) *lender {
	t.Helper()
	opened, machine := start(t, config)
	l := &lender{Relay: opened.NewRelay(), machine: machine}
	t.Cleanup(l.guests.Wait) // runs after the cleanups that close the connections
	return l
}

// enter opens a user's connection.
func (l *lender) enter(t *testing.T, user uint32) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	l.guests.Go(func() { _ = l.Serve(t.Context(), user, theirs) })
	t.Cleanup(func() { _ = ours.Close() })
	return ours
}

// as returns this package's own client for a user.
func (l *lender) as(t *testing.T, user uint32) *TPM {
	t.Helper()
	opened := saying(nil)
	opened.patience = time.Minute
	opened.dial = func(context.Context) (link, error) { return l.enter(t, user), nil }
	return opened
}

// refused sends one command over its own connection. The command must be refused and the
// connection must end.
func (l *lender) refused(t *testing.T, what string, command []byte) {
	t.Helper()
	conn := l.enter(t, 7)
	defer conn.Close() //nolint:errcheck // it is closed already
	if _, err := conn.Write(command); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	answer := make([]byte, headerSize)
	if _, err := io.ReadFull(conn, answer); err != nil || !bytes.Equal(answer, message(tpm2.TPMRCCommandCode, nil)) {
		t.Errorf("%s: answer %x, error %v", what, answer, err)
	}
	if _, err := conn.Write(recorded(readAKCommand())); err == nil {
		t.Errorf("%s: the connection stays open", what)
	}
}

// Each command of the TPM library that this package does not use is refused, whatever follows the code.
func TestRelayRefusesEveryOtherCode(t *testing.T) {
	l := lend(t, swtpm.Config{})
	handles := []tpm2.TPMHandle{0, tpm2.TPMRHOwner, tpm2.TPMRHPlatform, tpm2.TPMRHNull, tpm2.TPMRHLockout, attestationKey, 0x80000000, 0x03000000}
	for code := uint32(0x11F); code <= 0x1A0; code++ { // part 2, table of TPM_CC; vendor codes follow below
		for _, handle := range handles[:1+int(code)%len(handles)] {
			body := binary.BigEndian.AppendUint32(nil, uint32(handle))
			command := request(uint16(tpm2.TPMSTNoSessions), code, body)
			if shapeOf(command) == nil {
				l.refused(t, nameOf(tpm2.TPMCC(code)), command)
			}
		}
	}
	l.refused(t, "a vendor's command", request(uint16(tpm2.TPMSTNoSessions), 0x20000000, nil))
	l.refused(t, "no code", request(uint16(tpm2.TPMSTNoSessions), 0, nil))
}

func request(tag uint16, code uint32, body []byte) []byte {
	command := binary.BigEndian.AppendUint16(nil, tag)
	command = binary.BigEndian.AppendUint32(command, uint32(headerSize+len(body)))
	command = binary.BigEndian.AppendUint32(command, code)
	return append(command, body...)
}

// Commands are refused if they change the machine, reach other secrets of its TPM, or use
// a command in a way that this package does not.
func TestRelayRefuses(t *testing.T) {
	l := lend(t, swtpm.Config{})
	password := tpm2.PasswordAuth(nil)
	by := func(hierarchy tpm2.TPMHandle, secret string) tpm2.AuthHandle {
		return tpm2.AuthHandle{Handle: hierarchy, Auth: tpm2.PasswordAuth([]byte(secret))}
	}
	template := func(change func(*tpm2.TPMTPublic)) tpm2.TPM2BPublic {
		p := templateOf(make([]byte, 32))
		change(&p)
		return tpm2.New2B(p)
	}
	area := func(change func(*tpm2.TPMSNVPublic)) tpm2.NVDefineSpace {
		define := defineCommand()
		public, err := define.PublicInfo.Contents()
		if err != nil {
			t.Fatal(err)
		}
		change(public)
		define.PublicInfo = tpm2.New2B(*public)
		return define
	}
	create := func(change func(*tpm2.CreatePrimary)) tpm2.CreatePrimary {
		c := createCommand(templateOf(make([]byte, 32)))
		change(&c)
		return c
	}
	for what, command := range map[string][]byte{
		"extend a register": recorded(tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: 7, Auth: password}}),
		"clear":             recorded(tpm2.Clear{AuthHandle: by(tpm2.TPMRHLockout, "")}),
		"evict the AK": recorded(tpm2.EvictControl{
			Auth: owner, ObjectHandle: tpm2.NamedHandle{Handle: attestationKey}, PersistentHandle: attestationKey,
		}),
		"take ownership":  recorded(tpm2.HierarchyChangeAuth{AuthHandle: owner}),
		"save a context":  recorded(tpm2.ContextSave{SaveHandle: 0x80000000}),
		"load a context":  recorded(tpm2.ContextLoad{}),
		"flush the AK":    recorded(flushCommand(attestationKey)),
		"flush no key":    recorded(flushCommand(lentKey)),
		"flush a session": recorded(flushCommand(0x03000000)),

		"a key of the owner":             recorded(create(func(c *tpm2.CreatePrimary) { c.PrimaryHandle = owner })),
		"a key of the endorsement":       recorded(create(func(c *tpm2.CreatePrimary) { c.PrimaryHandle = by(tpm2.TPMRHEndorsement, "") })),
		"a key of the platform":          recorded(create(func(c *tpm2.CreatePrimary) { c.PrimaryHandle = by(tpm2.TPMRHPlatform, "") })),
		"a key with a password":          recorded(create(func(c *tpm2.CreatePrimary) { c.InSensitive = secret("x") })),
		"a key with outside information": recorded(create(func(c *tpm2.CreatePrimary) { c.OutsideInfo.Buffer = []byte("x") })),
		"a key with registers":           recorded(create(func(c *tpm2.CreatePrimary) { c.CreationPCR = bank(1) })),
		"the storage key":                recorded(create(func(c *tpm2.CreatePrimary) { c.InPublic = tpm2.New2B(tpm2.RSASRKTemplate) })),
		"a key that leaves the TPM": recorded(create(func(c *tpm2.CreatePrimary) {
			c.InPublic = template(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedTPM = false })
		})),
		"a key that a password opens": recorded(create(func(c *tpm2.CreatePrimary) {
			c.InPublic = template(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.UserWithAuth = true })
		})),
		"a key that signs": recorded(create(func(c *tpm2.CreatePrimary) {
			c.InPublic = template(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SignEncrypt = true })
		})),
		"another modulus": recorded(create(func(c *tpm2.CreatePrimary) {
			c.InPublic = template(func(p *tpm2.TPMTPublic) {
				p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: bytes.Repeat([]byte{1}, keySize)})
			})
		})),
		"no policy": recorded(create(func(c *tpm2.CreatePrimary) {
			c.InPublic = template(func(p *tpm2.TPMTPublic) { p.AuthPolicy.Buffer = nil })
		})),

		"define by the platform": recorded(func() tpm2.NVDefineSpace { d := defineCommand(); d.AuthHandle = by(tpm2.TPMRHPlatform, ""); return d }()),
		"define with a password": recorded(func() tpm2.NVDefineSpace {
			d := defineCommand()
			d.Auth = tpm2.TPM2BAuth{Buffer: []byte("x")}
			return d
		}()),
		"define with other attributes": recorded(area(func(p *tpm2.TPMSNVPublic) { p.Attributes.OwnerRead = false })),
		"define a counter":             recorded(area(func(p *tpm2.TPMSNVPublic) { p.Attributes.NT = tpm2.TPMNTCounter })),
		"define with a policy":         recorded(area(func(p *tpm2.TPMSNVPublic) { p.AuthPolicy.Buffer = make([]byte, 32) })),
		"define a shorter one":         recorded(area(func(p *tpm2.TPMSNVPublic) { p.DataSize = 32 })),
		"define another index":         recorded(area(func(p *tpm2.TPMSNVPublic) { p.NVIndex = 0x01500000 })),
		"define the report":            recorded(area(func(p *tpm2.TPMSNVPublic) { p.NVIndex = tpm2.TPMHandle(HCLReport) })),
		"undefine the certificate":     recorded(undefineCommand(named(AKCertificate))),
		"undefine by the platform": recorded(tpm2.NVUndefineSpace{
			AuthHandle: by(tpm2.TPMRHPlatform, ""), NVIndex: named(UserDataIndex),
		}),
		"write another index": recorded(writeCommand(named(AKCertificate), make([]byte, userDataSize))),
		"partial write":       recorded(writeCommand(named(UserDataIndex), make([]byte, userDataSize-1))),
		"read another index":  recorded(readCommand(named(0x01C101D2), 8, 0)),
		"read with the index's own password": recorded(tpm2.NVRead{
			AuthHandle: passworded(tpm2.TPMHandle(AKCertificate)), NVIndex: named(AKCertificate), Size: 8,
		}),
		"guess the owner's password": recorded(tpm2.NVRead{AuthHandle: by(tpm2.TPMRHOwner, "guess"), NVIndex: named(HCLReport), Size: 8}),

		"quote with another key":  recorded(quoteCommand(passworded(0x81000004), boot(t), nil)),
		"quote with a long nonce": recorded(quoteCommand(passworded(attestationKey), boot(t), make([]byte, maxNonce+1))),
		"quote other banks": recorded(tpm2.Quote{
			SignHandle: passworded(attestationKey), InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
			PCRSelect: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA1, PCRSelect: []byte{1, 0, 0}}}},
		}),
		"certify the AK":                 recorded(certifyCommand(passworded(attestationKey), passworded(attestationKey), nil)),
		"certify the EK":                 recorded(certifyCommand(passworded(0x81010001), passworded(attestationKey), nil)),
		"certify a handle without a key": recorded(certifyCommand(passworded(lentKey), passworded(attestationKey), nil)),
		"certify another's key":          recorded(certifyCommand(passworded(0x80000000), passworded(attestationKey), nil)),
		"decrypt with the EK":            recorded(decryptCommand(passworded(0x81010001), schemeRSAES(), make([]byte, keySize))),
		"decrypt with a password":        recorded(decryptCommand(passworded(lentKey), schemeRSAES(), make([]byte, keySize))),

		"an HMAC session": starting(func(c *tpm2.StartAuthSession) { c.SessionType = tpm2.TPMSEHMAC }),
		"a trial session": starting(func(c *tpm2.StartAuthSession) { c.SessionType = tpm2.TPMSETrial }),
		"a bound session": starting(func(c *tpm2.StartAuthSession) { c.Bind = attestationKey }),
		"a salted session": starting(func(c *tpm2.StartAuthSession) {
			c.TPMKey, c.EncryptedSalt.Buffer = tpm2.TPMHandle(0x81010001), make([]byte, keySize)
		}),
		"a session with AES": starting(func(c *tpm2.StartAuthSession) { c.Symmetric = aes() }),
		"a longer nonce":     starting(func(c *tpm2.StartAuthSession) { c.NonceCaller.Buffer = make([]byte, 32) }),
		"a policy over another's session": recorded(policyCommand(
			0x03000000, boot(t), make([]byte, sha256.Size))),
	} {
		l.refused(t, what, command)
	}
	if exists, err := l.as(t, 1).Exists(t.Context(), UserDataIndex); exists || err != nil {
		t.Errorf("afterwards the user data exists: %t, error %v", exists, err)
	}
}

func secret(password string) tpm2.TPM2BSensitiveCreate {
	return tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte(password)}}}
}

func aes() tpm2.TPMTSymDef {
	return tpm2.TPMTSymDef{
		Algorithm: tpm2.TPMAlgAES,
		KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
		Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
	}
}

func starting(change func(*tpm2.StartAuthSession)) []byte {
	c := tpm2.StartAuthSession{
		TPMKey: tpm2.TPMRHNull, Bind: tpm2.TPMRHNull, NonceCaller: tpm2.TPM2BNonce{Buffer: make([]byte, sessionNonce)},
		SessionType: tpm2.TPMSEPolicy, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}, AuthHash: tpm2.TPMAlgSHA256,
	}
	change(&c)
	return recorded(c)
}

// This package's commands have one session, without attributes that encrypt, audit or end
// it.
func TestRelayRefusesSessionAttributes(t *testing.T) {
	l := lend(t, swtpm.Config{})
	good := recorded(quoteCommand(passworded(attestationKey), boot(t), []byte("nonce")))
	const attributes = oneHandle + 4 + 2 // after the session's handle and its empty nonce
	if shapeOf(good) == nil || handleAt(good, oneHandle) != tpm2.TPMRSPW {
		t.Fatalf("the command is not lent or has another session: %x", good)
	}
	for bit := range 8 {
		altered := bytes.Clone(good)
		altered[attributes] ^= 1 << bit
		l.refused(t, "an attribute", altered)
	}
	second := append(bytes.Clone(good[:oneHandle]), append(bytes.Clone(good[oneHandle:oneHandle+9]), good[oneHandle:]...)...)
	binary.BigEndian.PutUint32(second[2:], uint32(len(second)))
	binary.BigEndian.PutUint32(second[secondHandle:], 18)
	l.refused(t, "two sessions", second)
}

// Wrong sizes, incomplete commands and several commands at once end the connection.
// Nothing of them reaches the TPM.
func TestRelayEndsOnNonsense(t *testing.T) {
	l := lend(t, swtpm.Config{})
	good := recorded(readAKCommand())
	sized := func(size uint32) []byte {
		command := bytes.Clone(good)
		binary.BigEndian.PutUint32(command[2:], size)
		return command
	}
	for what, said := range map[string][]byte{
		"no size": sized(0), "half a header": sized(9), "too long": sized(maxAnswer + 1), "the largest": sized(1<<32 - 1),
		"two at once": slices.Concat(good, good), "size too small": sized(uint32(len(good) - 1)),
	} {
		conn := l.enter(t, 7)
		if _, err := conn.Write(said); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if answer, err := io.ReadAll(conn); err != nil || len(answer) != 0 {
			t.Errorf("%s: answer %x, error %v", what, answer, err)
		}
	}
	for _, length := range []int{0, 1, headerSize, len(good) - 1} {
		conn := l.enter(t, 7)
		if _, err := conn.Write(good[:length]); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.as(t, 1).AK(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Each guest has its own key and session, and at most one of each.
func TestRelayGuestsAreApart(t *testing.T) {
	l := lend(t, swtpm.Config{})
	mine, theirs := transport.FromReadWriter(l.enter(t, 1)), l.enter(t, 2)
	made, err := createCommand(templateOf(make([]byte, 32))).Execute(mine)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := startSession(mine)
	if err != nil {
		t.Fatal(err)
	}
	if made.ObjectHandle != lentKey {
		t.Errorf("the answer has the TPM's own handle 0x%x", made.ObjectHandle)
	}
	if _, err := policyCommand(opened.Handle(), 0, make([]byte, 32)).Execute(transport.FromReadWriter(theirs)); !errors.Is(err, tpm2.TPMRCCommandCode) {
		t.Errorf("another's session: error %v", err)
	}
	if _, err := createCommand(templateOf(make([]byte, 32))).Execute(mine); !errors.Is(err, tpm2.TPMRCCommandCode) {
		t.Errorf("a second key: error %v", err)
	}
}

// A refused command is counted together with its user.
func TestRelayCountsRefused(t *testing.T) {
	l := lend(t, swtpm.Config{})
	var counted []uint32
	l.Refused = func(user, command uint32) { counted = append(counted, user, command) }
	l.refused(t, "clear", recorded(tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHLockout, Auth: tpm2.PasswordAuth(nil)}}))
	if !slices.Equal(counted, []uint32{7, uint32(tpm2.TPMCCClear)}) {
		t.Errorf("counted %v", counted)
	}
}
