package uvm

import (
	"testing"

	"skr/test/uvmtest"
)

// ReadHeader distinguishes an endorsement from another COSE_Sign1 without verifying either.
func TestHeader(t *testing.T) {
	endorser, err := uvmtest.NewEndorser()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := endorser.Endorse([48]byte{1}, 100, "ContainerPlat-AMD-UVM")
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1 // of the signature
	header, err := ReadHeader(raw)
	if err != nil || !header.IsEndorsement() || header.Subject != "ContainerPlat-AMD-UVM" || header.Payload == 0 {
		t.Errorf("forged endorsement: %+v, %v", header, err)
	}
	for name, h := range map[string]Header{
		"no issuer": {hasFeed: true}, "another issuer": {Issuer: "did:attestedsvc:x", hasSVN: true}, "neither feed nor svn": {Issuer: "did:x509:0:sha256:x"},
		"a policy fragment": {Issuer: "did:x509:0:sha256:x", hasFeed: true, ContentType: fragmentType},
	} {
		if h.IsEndorsement() {
			t.Errorf("%s: it counts as an endorsement", name)
		}
	}
	if _, err := ReadHeader([]byte{0xd2, 0x84, 1, 2, 3}); err == nil {
		t.Error("ReadHeader accepts input that is not a COSE_Sign1")
	}
}
