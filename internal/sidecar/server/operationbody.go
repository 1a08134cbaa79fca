package server

import (
	"encoding/base64"
	"regexp"
	"strconv"

	"skr/api"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// maxBatch is the largest number of inputs in a request.
const maxBatch = 100

// algorithmName matches the names of all algorithms. They are written into JSON as they are.
var algorithmName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

func checkAlgorithm(name string) error {
	if err := required("alg", name); err != nil {
		return err
	}
	if !algorithmName.MatchString(name) {
		return keyuseRefusal(keyuse.ErrAlgorithm)
	}
	return nil
}

// parseInputs parses the inputs of a batch, or the only one. The caller wipes them.
func parseInputs(r api.OperationRequest) (inputs []keyuse.Input, err error) {
	if err := checkAlgorithm(r.Alg); err != nil {
		return nil, err
	}
	raw := []api.OperationInput{r.OperationInput}
	if r.Batch != nil {
		if !isEmpty(r.OperationInput) {
			return nil, refusal.Newf(refusal.BadRequest, "member %q has the inputs: leave the members of a single one out", "batch")
		}
		raw = r.Batch
	}
	if len(raw) == 0 || len(raw) > maxBatch {
		return nil, refusal.Newf(refusal.BadRequest, "member %q must have 1 to %d inputs", "batch", maxBatch)
	}
	for i, in := range raw {
		parsed, err := parseInput(r.Alg, in)
		inputs = append(inputs, parsed)
		if err != nil {
			wipeInputs(inputs)
			if r.Batch != nil {
				err = inEntry("batch", i, err)
			}
			return nil, err
		}
	}
	return inputs, nil
}

func isEmpty(in api.OperationInput) bool {
	return len(in.Value)+len(in.Digest)+len(in.IV)+len(in.Tag)+len(in.AAD) == 0
}

// parseInput decodes the members. An empty member counts as absent, except the value: the
// empty text can be encrypted.
func parseInput(algorithm string, in api.OperationInput) (parsed keyuse.Input, err error) {
	parsed.Algorithm = algorithm
	for _, member := range []struct {
		name string
		text api.Secret
		into *[]byte
	}{
		{"value", in.Value, &parsed.Value}, {"digest", in.Digest, &parsed.Digest},
		{"iv", in.IV, &parsed.IV}, {"tag", in.Tag, &parsed.Tag}, {"aad", in.AAD, &parsed.AAD},
	} {
		if len(member.text) == 0 {
			continue
		}
		if *member.into, err = decodeURL(member.text); err != nil {
			return parsed, refusal.Newf(refusal.BadRequest, "member %q is not base64url without padding", member.name)
		}
	}
	return parsed, nil
}

// decodeURL decodes base64url of RFC 7515 section 2 without a copy as a string.
func decodeURL(text []byte) ([]byte, error) {
	return base64.RawURLEncoding.Strict().AppendDecode(nil, text)
}

func wipeInputs(inputs []keyuse.Input) {
	for _, in := range inputs {
		secmem.Wipe(in.Value, in.Digest)
	}
}

func wipeResults(results []result) {
	for _, r := range results {
		secmem.Wipe(r.output.Value)
	}
}

// encodeResults writes the answer without encoding/json, whose buffers would keep copies of
// the results.
func encodeResults(kid string, op keyuse.Operation, r api.OperationRequest, results []result) []byte {
	size := 256 + len(kid) + len(r.Alg)
	for _, one := range results {
		size += 512 + 2*len(one.output.Value)
	}
	text := append(make([]byte, 0, size), `{"kid":`...)
	text = strconv.AppendQuote(text, kid)
	text = append(text, `,"alg":`...)
	text = strconv.AppendQuote(text, r.Alg)
	if r.Batch == nil {
		text = appendResult(append(text, ','), op, results[0])
		return append(text, '}')
	}
	text = append(text, `,"results":[`...)
	for i, one := range results {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(appendResult(append(text, '{'), op, one), '}')
	}
	return append(text, `]}`...)
}

// appendResult appends the members of a result.
func appendResult(text []byte, op keyuse.Operation, r result) []byte {
	switch {
	case r.err != nil:
		return strconv.AppendQuote(append(text, `"error":`...), classify(r.err).text)
	case op == keyuse.Verify:
		return strconv.AppendBool(append(text, `"value":`...), r.output.Valid)
	}
	text = appendMember(text, `"value":"`, r.output.Value)
	if r.output.IV != nil {
		text = appendMember(append(text, ','), `"iv":"`, r.output.IV)
	}
	if r.output.Tag != nil {
		text = appendMember(append(text, ','), `"tag":"`, r.output.Tag)
	}
	return text
}

func appendMember(text []byte, name string, value []byte) []byte {
	return append(base64.RawURLEncoding.AppendEncode(append(text, name...), value), '"')
}
