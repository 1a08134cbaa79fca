package stranger

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	authorityName = "sharedeus.eus.attest.azure.net"
	authorityURL  = "https://" + authorityName
	otherKid      = "J0pAPdfXXHqWWimgrH853wMIdh5_fLe1z6uSXYPXCa0" // a key that signs no token
)

// authority is an attestation service for SEV-SNP (Azure REST API specification,
// attestation). It appraises a report and signs the result.
type authority struct {
	before   intercept
	key      *rsa.PrivateKey // the announced signing key
	kid      string
	signWith *rsa.PrivateKey // the key that signs

	discovery func(object) // changes the openid-configuration
	keys      func(object) // changes the JWKS
	claims    func(object) // changes the claims before signing
	header    func(object) // changes the token's header
}

// bent returns body after the test's change.
func bent(bend func(object), body object) object {
	if bend != nil {
		bend(body)
	}
	return body
}

// authorityKey signs all tokens. The certificate is self-signed. An extension carries the
// service's own evidence, so the certificate is about 30 kB long.
var authorityKey = sync.OnceValues(func() (*rsa.PrivateKey, *x509.Certificate) {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	return key, issue(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: authorityURL},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 1000, 1}, Value: random(30000)}},
	}, nil, key.Public(), key)
})

func newAuthority() *authority {
	key, _ := authorityKey()
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key.Public()))})
	kid := sha256.Sum256(append(public, 0))
	return &authority{key: key, signWith: key, kid: base64.StdEncoding.EncodeToString(kid[:])}
}

func (a *authority) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, bent(a.discovery, object{
			"issuer": authorityURL, "jwks_uri": authorityURL + "/certs", "response_types_supported": []string{"token", "none"},
			"id_token_signing_alg_values_supported": []string{"RS256"}, "claims_supported": []string{"x-ms-attestation-type"},
		}))
	})
	mux.HandleFunc("GET /certs", a.certs)
	mux.HandleFunc("POST /attest/SevSnpVm", a.attest)
	return mux
}

func (a *authority) certs(w http.ResponseWriter, _ *http.Request) {
	_, certificate := authorityKey()
	other := vaultIdentity() // like the shared instances, a second key with a longer chain
	keys := []object{
		{"alg": "RS256", "kid": otherKid, "kty": "RSA", "use": "sig", "x5c": other.x5c()},
		{"alg": "RS256", "kid": a.kid, "kty": "RSA", "use": "sig", "x5c": []string{base64.StdEncoding.EncodeToString(certificate.Raw)}},
	}
	w.Header().Set("Content-Type", "application/jwk+json")
	_ = json.NewEncoder(w).Encode(bent(a.keys, object{"keys": keys}))
}

func (a *authority) attest(w http.ResponseWriter, r *http.Request) {
	claims, err := a.appraise(r)
	if err != nil {
		azureError(w, http.StatusBadRequest, "InvalidParameter", err.Error())
		return
	}
	header := bent(a.header, object{"jku": authorityURL + "/certs", "kid": a.kid, "typ": "JWT"})
	answer(w, http.StatusOK, object{"token": sign(header, bent(a.claims, claims), a.signWith)})
}

// appraise parses the request as the REST specification describes it, and verifies the
// evidence in it.
func (a *authority) appraise(r *http.Request) (object, error) {
	if r.URL.Query().Get("api-version") == "" {
		return nil, errors.New("the query has no api-version")
	}
	if r.Header.Get("Content-Type") != "application/json" {
		return nil, fmt.Errorf("the content type is %q", r.Header.Get("Content-Type"))
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	body, err := decode(raw)
	if err != nil {
		return nil, err
	}
	report, err := evidence(body)
	if err != nil {
		return nil, err
	}
	claims := reportClaims(report)
	runtime, err := runtimeData(body, report)
	if err != nil {
		return nil, err
	}
	if runtime != nil {
		claims["x-ms-runtime"] = runtime
	}
	if nonce, ok := body["nonce"]; ok {
		claims["nonce"] = fmt.Sprint(nonce) // a number or a string; the claim is a string
	}
	return claims, nil
}

// evidence verifies the report in a request body, up to the ARK.
func evidence(body object) ([]byte, error) {
	text, _ := body["report"].(string)
	inner, err := unb64url(text)
	if err != nil {
		return nil, err
	}
	var parts map[string]string
	if err := json.Unmarshal(inner, &parts); err != nil {
		return nil, err
	}
	report, err := unb64url(parts["SnpReport"])
	if err != nil {
		return nil, err
	}
	chain, err := unb64url(parts["VcekCertChain"])
	if err != nil {
		return nil, err
	}
	vcek, err := verifyChain(chain)
	if err != nil {
		return nil, err
	}
	return report, errors.Join(verifyReport(report, vcek), verifyTCB(report, vcek))
}

// verifyTCB checks that the certificate is for the report's chip and TCB.
func verifyTCB(report []byte, vcek *x509.Certificate) error {
	level := func(at int) []byte { return must(asn1.Marshal(int(report[atReportedTCB+at]))) }
	want := []pkix.Extension{
		amdExtension(level(0), 3, 1), amdExtension(level(1), 3, 2), amdExtension(level(6), 3, 3), amdExtension(level(7), 3, 8),
		amdExtension(report[atChipID:atChipID+64], 4),
	}
	for _, extension := range want {
		same := func(e pkix.Extension) bool {
			return e.Id.Equal(extension.Id) && bytes.Equal(e.Value, extension.Value)
		}
		if !slices.ContainsFunc(vcek.Extensions, same) {
			return fmt.Errorf("%v of the certificate differs from the report", extension.Id)
		}
	}
	return nil
}

// verifyChain verifies PEM in the order VCEK, ASK, ARK and returns the VCEK.
func verifyChain(text []byte) (*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, certificate)
	}
	if len(chain) != 3 || !chain[2].Equal(milan().ark) {
		return nil, fmt.Errorf("the chain of %d certificates does not end at the ARK", len(chain))
	}
	return chain[0], errors.Join(chain[0].CheckSignatureFrom(chain[1]), chain[1].CheckSignatureFrom(chain[2]))
}

// runtimeData checks that REPORT_DATA is the SHA-256 digest of the data as sent, and
// returns the data as a claim.
func runtimeData(body object, report []byte) (any, error) {
	given, _ := body["runtimeData"].(object)
	text, _ := given["data"].(string)
	if text == "" {
		return nil, nil
	}
	if given["dataType"] != "JSON" {
		return nil, fmt.Errorf("the data type is %q", given["dataType"])
	}
	data, err := unb64url(text)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(data)
	if !bytes.Equal(report[atReportData:atMeasurement], append(digest[:], make([]byte, 32)...)) {
		return nil, errors.New("REPORT_DATA is not the digest of the runtime data")
	}
	return decode(data)
}

// reportClaims returns the claims that a small authority takes from a report.
func reportClaims(report []byte) object {
	number := func(at int) uint32 { return binary.LittleEndian.Uint32(report[at:]) }
	bytesAt := func(at, size int) string { return hex.EncodeToString(report[at : at+size]) }
	policy := binary.LittleEndian.Uint64(report[atPolicy:])
	now := time.Now().Unix()
	return object{
		"iss": authorityURL, "iat": now, "nbf": now, "exp": now + 28800, "jti": hex.EncodeToString(random(32)),
		"x-ms-ver": "1.0", "x-ms-attestation-type": "sevsnpvm",
		"x-ms-sevsnpvm-guestsvn": number(atGuestSVN), "x-ms-sevsnpvm-vmpl": number(atVMPL),
		"x-ms-sevsnpvm-familyId": bytesAt(atFamilyID, 16), "x-ms-sevsnpvm-imageId": bytesAt(atImageID, 16),
		"x-ms-sevsnpvm-is-debuggable":     policy>>19&1 == 1,
		"x-ms-sevsnpvm-migration-allowed": policy>>18&1 == 1,
		"x-ms-sevsnpvm-smt-allowed":       policy>>16&1 == 1,
		"x-ms-sevsnpvm-bootloader-svn":    report[atReportedTCB], "x-ms-sevsnpvm-tee-svn": report[atReportedTCB+1],
		"x-ms-sevsnpvm-snpfw-svn": report[atReportedTCB+6], "x-ms-sevsnpvm-microcode-svn": report[atReportedTCB+7],
		"x-ms-sevsnpvm-reportdata":        bytesAt(atReportData, 64),
		"x-ms-sevsnpvm-launchmeasurement": bytesAt(atMeasurement, 48),
		"x-ms-sevsnpvm-hostdata":          bytesAt(atHostData, 32),
		"x-ms-sevsnpvm-idkeydigest":       bytesAt(atIDKeyDigest, 48),
		"x-ms-sevsnpvm-authorkeydigest":   bytesAt(atAuthorDigest, 48),
		"x-ms-sevsnpvm-reportid":          bytesAt(atReportID, 32),
	}
}
