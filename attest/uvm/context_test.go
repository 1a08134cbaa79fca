package uvm

import (
	"cmp"
	"encoding/base64"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func endorsed(t *testing.T, svn uint64) string {
	t.Helper()
	raw, err := newEndorser(t).Endorse(measured, svn, "TEST-UVM")
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func TestLoad(t *testing.T) {
	first, second := endorsed(t, 1), endorsed(t, 2)
	broken := first[:40] + "\r\n" + first[40:] + " \n"
	const policy, certificate = "cG9saWN5", "Y2VydGlmaWNhdGU="
	for name, c := range map[string]struct {
		config              Config
		root                fstest.MapFS
		policy, certificate string
		svn                 uint64
		reference           string
	}{
		"nothing": {root: fstest.MapFS{}},
		"the first directory": {
			root: fstest.MapFS{
				"security-context-1":                        file("not a directory"),
				"security-context-2/security-policy-base64": file(policy + "\n"),
				"security-context-2/host-amd-cert-base64":   file(" " + certificate),
				"security-context-2/reference-info-base64":  file(broken),
				"security-context-3/reference-info-base64":  file(second),
				kataDirectory + "/reference-info-base64":    file(second),
			},
			policy: "policy", certificate: "certificate", svn: 1, reference: strings.TrimSpace(broken),
		},
		"kata": {
			root: fstest.MapFS{kataDirectory + "/reference-info-base64": file(second)},
			svn:  2, reference: second,
		},
		"named directory": {
			config: Config{Directory: "/mnt/../mnt/context/"},
			root: fstest.MapFS{
				"mnt/context/security-policy-base64":       file(policy),
				"security-context-2/reference-info-base64": file(second),
			},
			policy: "policy",
		},
		"each file alone": {
			config: Config{Policy: "b3RoZXI=", HostCertificate: certificate + "\n", ReferenceInfo: first},
			root:   fstest.MapFS{"security-context-1/security-policy-base64": file(policy)},
			policy: "policy", certificate: "certificate", svn: 1, reference: first,
		},
	} {
		t.Run(name, func(t *testing.T) {
			context, err := load(c.config, c.root)
			if err != nil {
				t.Fatal(err)
			}
			if string(context.Policy) != c.policy || string(context.HostCertificate) != c.certificate {
				t.Errorf("policy %q, certificate %q", context.Policy, context.HostCertificate)
			}
			if (context.Endorsement == nil) != (c.svn == 0) || context.Endorsement != nil && context.Endorsement.GuestSVN() != c.svn {
				t.Errorf("endorsement %v, want svn %d", context.Endorsement, c.svn)
			}
			if context.ReferenceInfo() != c.reference {
				t.Errorf("reference info %.40q, want %.40q", context.ReferenceInfo(), c.reference)
			}
		})
	}
}

// TestUnusableParts checks that a fault of one part leaves the others unchanged.
func TestUnusableParts(t *testing.T) {
	const directory = "security-context-1/"
	const policy, certificate, reference, whole = "policy", "certificate", "reference", "directory"
	good := endorsed(t, 1)
	for name, c := range map[string]struct {
		config     Config
		root       fstest.MapFS
		part, want string
	}{
		"policy file": {Config{}, fstest.MapFS{directory + policyFile: file("%")}, policy, "/security-context-1/security-policy-base64: illegal base64"},
		"certificate file": {Config{}, fstest.MapFS{directory + hostCertificateFile: file("YQ")}, certificate,
			"/security-context-1/host-amd-cert-base64: illegal base64"},
		"stray bits":           {Config{}, fstest.MapFS{directory + hostCertificateFile: file("YR==")}, certificate, "illegal base64"},
		"url alphabet":         {Config{}, fstest.MapFS{directory + hostCertificateFile: file("__8=")}, certificate, "illegal base64"},
		"policy variable":      {Config{Policy: "%"}, nil, policy, "UVM_SECURITY_POLICY: illegal base64"},
		"certificate variable": {Config{HostCertificate: "%"}, nil, certificate, "UVM_HOST_AMD_CERTIFICATE: illegal base64"},
		"reference variable":   {Config{ReferenceInfo: "%"}, nil, reference, "UVM_REFERENCE_INFO: illegal base64"},
		"no endorsement":       {Config{ReferenceInfo: "AAAA"}, nil, reference, "the endorsement of UVM_REFERENCE_INFO: decoding"},
		"bad endorsement file": {Config{}, fstest.MapFS{directory + referenceInfoFile: file("AAAA")}, reference,
			"the endorsement of /security-context-1/reference-info-base64"},
		"large file":          {Config{}, fstest.MapFS{directory + policyFile: file(strings.Repeat("A", maxFile+4))}, policy, "more than 1048576 bytes"},
		"a directory":         {Config{}, fstest.MapFS{directory + policyFile: {Mode: fs.ModeDir}}, policy, "reading /security-context-1/security-policy-base64"},
		"directory missing":   {Config{Directory: "/gone"}, nil, whole, "using /gone: file does not exist"},
		"directory is a file": {Config{Directory: "/a/file"}, fstest.MapFS{"a/file": file("")}, whole, "using /a/file: it is not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			maps.Copy(root, c.root)
			config := c.config // the variables replace the missing files
			config.Policy = cmp.Or(config.Policy, "cG9saWN5")
			config.HostCertificate = cmp.Or(config.HostCertificate, "Y2VydGlmaWNhdGU=")
			config.ReferenceInfo = cmp.Or(config.ReferenceInfo, good)
			context, joined := load(config, root)
			if joined == nil || !strings.Contains(joined.Error(), c.want) {
				t.Errorf("error %v, want one about %q", joined, c.want)
			}
			errs := map[string]error{
				policy: context.PolicyErr, certificate: context.HostCertificateErr,
				reference: context.EndorsementErr, whole: context.DirectoryErr,
			}
			usable := map[string]bool{
				policy: context.Policy != nil, certificate: context.HostCertificate != nil,
				reference: context.Endorsement != nil && context.ReferenceInfo() == good, whole: context.DirectoryErr == nil,
			}
			for part, err := range errs {
				if part != c.part && (err != nil || !usable[part]) {
					t.Errorf("%s: usable %t, error %v", part, usable[part], err)
				}
			}
			if err := errs[c.part]; err == nil || !strings.Contains(err.Error(), c.want) || usable[c.part] {
				t.Errorf("%s: usable %t, error %v; want one about %q", c.part, usable[c.part], err, c.want)
			}
			if context.Endorsement == nil && context.ReferenceInfo() != "" {
				t.Errorf("without an endorsement the reference info is %.40q", context.ReferenceInfo())
			}
		})
	}
}

// TestLoadFromDisk uses the real root file system.
func TestLoadFromDisk(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, policyFile), []byte("cG9saWN5"), 0o600); err != nil {
		t.Fatal(err)
	}
	context, err := Load(Config{Directory: directory})
	if err != nil || string(context.Policy) != "policy" || context.Endorsement != nil || context.ReferenceInfo() != "" {
		t.Errorf("got %+v, %v", context, err)
	}
}
