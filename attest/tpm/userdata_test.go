package tpm

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"skr/test/swtpm"
)

// withIndex defines the index for user data as another program would.
func (c *clock) withIndex(t *testing.T, opened *TPM, by tpm2.TPMHandle, public tpm2.TPMSNVPublic, password string) {
	t.Helper()
	public.NVIndex, public.NameAlg = tpm2.TPMHandle(UserDataIndex), tpm2.TPMAlgSHA256
	err := opened.do(t.Context(), "defining", func(x *exchange) error {
		_, err := run(x, tpm2.NVDefineSpace{
			AuthHandle: tpm2.AuthHandle{Handle: by, Auth: tpm2.PasswordAuth(nil)},
			Auth:       tpm2.TPM2BAuth{Buffer: []byte(password)}, PublicInfo: tpm2.New2B(public),
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An unusable index is redefined. If the owner may not redefine it, the error names it.
// A usable index stays, whichever process defined it.
func TestUserDataOfOthers(t *testing.T) {
	owned := tpm2.TPMANV{OwnerRead: true, OwnerWrite: true, NT: tpm2.TPMNTOrdinary}
	with := func(change func(*tpm2.TPMANV)) tpm2.TPMANV { a := owned; change(&a); return a }
	platform := func(a tpm2.TPMANV) tpm2.TPMANV { a.PlatformCreate = true; return a }
	for name, c := range map[string]struct {
		by       tpm2.TPMHandle
		public   tpm2.TPMSNVPublic
		password string
		stays    bool
		want     error
	}{
		"usable":           {tpm2.TPMRHOwner, tpm2.TPMSNVPublic{DataSize: 64, Attributes: owned}, "", true, nil},
		"usable, password": {tpm2.TPMRHOwner, tpm2.TPMSNVPublic{DataSize: 64, Attributes: owned}, "secret", true, nil},
		"shorter":          {tpm2.TPMRHOwner, tpm2.TPMSNVPublic{DataSize: 32, Attributes: owned}, "", false, nil},
		"longer":           {tpm2.TPMRHOwner, tpm2.TPMSNVPublic{DataSize: 65, Attributes: owned}, "", false, nil},
		"a counter": {tpm2.TPMRHOwner, tpm2.TPMSNVPublic{DataSize: 8, Attributes: with(func(a *tpm2.TPMANV) { a.NT = tpm2.TPMNTCounter })},
			"", false, nil},
		"owner may not read": {tpm2.TPMRHOwner, tpm2.TPMSNVPublic{DataSize: 64, Attributes: with(func(a *tpm2.TPMANV) { a.OwnerRead, a.AuthRead = false, true })},
			"", false, nil},
		"owner may not write": {tpm2.TPMRHOwner, tpm2.TPMSNVPublic{DataSize: 64, Attributes: with(func(a *tpm2.TPMANV) { a.OwnerWrite, a.AuthWrite = false, true })},
			"x", false, nil},
		"platform, usable":     {tpm2.TPMRHPlatform, tpm2.TPMSNVPublic{DataSize: 64, Attributes: platform(owned)}, "", true, nil},
		"platform, not usable": {tpm2.TPMRHPlatform, tpm2.TPMSNVPublic{DataSize: 32, Attributes: platform(owned)}, "", true, ErrUnusable},
	} {
		t.Run(name, func(t *testing.T) {
			opened, clock := confidential(t)
			clock.withIndex(t, opened, c.by, c.public, c.password)
			_, err := opened.FreshReport(t.Context(), clock.ask("question"))
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err != nil && !strings.Contains(err.Error(), "tpm2_nvundefine -C p") {
				t.Errorf("error %v", err)
			}
			var found *area
			if err := opened.do(t.Context(), "looking", func(x *exchange) (err error) { found, err = openArea(x, UserDataIndex); return err }); err != nil {
				t.Fatal(err)
			}
			attributes := found.public.Attributes
			attributes.Written = false
			if stayed := attributes == c.public.Attributes; stayed != c.stays {
				t.Errorf("the index stayed: %t, attributes %+v", stayed, attributes)
			}
		})
	}
}

// Another process defines, removes or replaces the index between this package's commands.
func TestUserDataRaces(t *testing.T) {
	undefine := func(x *exchange) error { _, err := run(x, undefineCommand(named(UserDataIndex))); return err }
	define := func(x *exchange) error { _, err := run(x, defineCommand()); return err }
	for name, c := range map[string]struct {
		before    tpm2.TPMCC
		exists    bool
		interfere func(*exchange) error
	}{
		"defined meanwhile":            {tpm2.TPMCCNVDefineSpace, false, define},
		"removed before it is read":    {tpm2.TPMCCNVRead, true, undefine},
		"removed before it is written": {tpm2.TPMCCNVWrite, true, undefine},
	} {
		t.Run(name, func(t *testing.T) {
			opened, clock := confidential(t)
			other, err := Open(opened.address)
			if err != nil {
				t.Fatal(err)
			}
			if c.exists {
				if err := other.do(t.Context(), "defining", define); err != nil {
					t.Fatal(err)
				}
			}
			once := false
			hook(opened, func(code tpm2.TPMCC) {
				if code != c.before || once {
					return
				}
				once = true
				if err := other.do(t.Context(), "interfering", c.interfere); err != nil {
					t.Error(err)
				}
			})
			if _, err := opened.FreshReport(t.Context(), clock.ask("question")); err != nil || !once {
				t.Errorf("error %v, interfered: %t", err, once)
			}
		})
	}
}

// A defined index that cannot be read does not count as absent.
func TestUnwritten(t *testing.T) {
	opened, _ := start(t, swtpm.Config{CertificateSize: -1})
	err := opened.do(t.Context(), "defining", func(x *exchange) error {
		_, err := run(x, tpm2.NVDefineSpace{AuthHandle: owner, PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
			NVIndex: tpm2.TPMHandle(HCLReport), NameAlg: tpm2.TPMAlgSHA256, DataSize: 2048,
			Attributes: tpm2.TPMANV{OwnerRead: true, OwnerWrite: true, NT: tpm2.TPMNTOrdinary},
		})})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.ReadIndex(t.Context(), HCLReport); !errors.Is(err, ErrUnwritten) || errors.Is(err, ErrAbsent) {
		t.Errorf("error %v", err)
	}
	if _, err := opened.FreshReport(t.Context(), Fresh{Carries: carries}); !errors.Is(err, ErrUnwritten) {
		t.Errorf("a fresh report: error %v", err)
	}
}
