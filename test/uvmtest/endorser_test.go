package uvmtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"skr/attest/uvm"
	"skr/test/uvmtest"
)

func TestEndorser(t *testing.T) {
	endorser, err := uvmtest.NewEndorser()
	if err != nil {
		t.Fatal(err)
	}
	for name, endorse := range map[string]func([48]byte, uint64, string) ([]byte, error){
		"Endorse": endorser.Endorse, "EndorseBare": endorser.EndorseBare,
	} {
		raw, err := endorse([48]byte{1, 2, 3}, 7, "TEST-UVM")
		if err != nil {
			t.Fatal(err)
		}
		endorsement, err := uvm.ParseEndorsement(raw)
		if err != nil {
			t.Fatal(err)
		}
		if endorsement.Measurement() != [48]byte{1, 2, 3} || endorsement.GuestSVN() != 7 || endorsement.Issuer() != endorser.Issuer() {
			t.Errorf("%s gave %s", name, endorsement)
		}
	}
}

func TestRootIsTheIssuers(t *testing.T) {
	endorser, err := uvmtest.NewEndorser()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(endorser.RootPEM())
	if block == nil {
		t.Fatal("the root is not PEM")
	}
	sum := sha256.Sum256(block.Bytes)
	if !strings.Contains(endorser.Issuer(), base64.RawURLEncoding.EncodeToString(sum[:])) {
		t.Errorf("issuer %q does not name the root", endorser.Issuer())
	}
}
