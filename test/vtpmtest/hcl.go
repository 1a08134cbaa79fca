package vtpmtest

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/test/snptest"
	"skr/test/tdxtest"
)

// HCLOptions override fields of an HCL report. Zero values give a report like
// Azure's.
type HCLOptions struct {
	Size     int    // of the NV index, 2600
	Version  uint32 // of the header, 2
	Hardware uint32 // 2: SEV-SNP
	Report   snptest.Options
	// Mutate may change any byte of the index.
	Mutate func(index []byte)
}

// Claims returns runtime claims with the key as HCLAkPub, after another key.
func Claims(ak *rsa.PublicKey, secureBoot bool) []byte {
	encode := base64.RawURLEncoding.EncodeToString
	key := fmt.Sprintf(`"kty":"RSA","e":%q,"n":%q`, encode(big.NewInt(int64(ak.E)).Bytes()), encode(ak.N.Bytes()))
	return fmt.Appendf(nil, `{"keys":[{"kid":"HCLEkPub","key_ops":["encrypt"],%s},{"kid":"HCLAkPub","key_ops":["sign"],%s}],`+
		`"vm-configuration":{"console-enabled":true,"secure-boot":%t,"tpm-enabled":true,`+
		`"vmUniqueId":"00000000-0000-0000-0000-000000000001"},"user-data":"%064X%064X"}`,
		key, key, secureBoot, 0xab, 0xcd)
}

// HCL returns the content of the NV index 0x01400001 with claims that the
// chip's report covers.
func HCL(chip *snptest.Chip, claims []byte, o HCLOptions) ([]byte, error) {
	report, err := chip.Report(snp.Bind(claims), o.Report)
	if err != nil {
		return nil, err
	}
	return index(report, claims, o), nil
}

// hardwareTDX is the type of an HCL report with a TD report.
const hardwareTDX = 4

// TDXHCL returns the content of the NV index 0x01400001 with claims that the report of td
// covers.
func TDXHCL(td tdxtest.TD, claims []byte, o HCLOptions) []byte {
	td.ReportData = tdx.Bind(claims)
	o.Hardware = orElse(o.Hardware, hardwareTDX)
	return index(td.Report(), claims, o)
}

func index(report, claims []byte, o HCLOptions) []byte {
	index := make([]byte, max(o.Size, 2600))
	copy(index, "HCLA")
	copy(index[32:], report)
	put := func(at int, value uint32) { binary.LittleEndian.PutUint32(index[at:], value) }
	size := uint32(len(claims))
	put(4, orElse(o.Version, 2))
	put(8, 32+1184+20+size)
	put(12, 2)
	put(1216, 20+size)
	put(1220, 1)
	put(1224, orElse(o.Hardware, 2))
	put(1228, 1)
	put(1232, size)
	copy(index[1236:], claims)
	if o.Mutate != nil {
		o.Mutate(index)
	}
	return index
}

func orElse(value, otherwise uint32) uint32 {
	if value == 0 {
		return otherwise
	}
	return value
}
