// Package fault makes the emulated services fail on request.
//
// A [Rule] says which service fails, how, and how often. A [Plan] holds the
// rules and the only random generator, so that a run can be repeated from its
// seed. [Plan.Wrap] is the HTTP middleware; a service that signs tokens calls
// [Plan.Forgery] to learn what to forge in the next one.
//
//	plan := fault.NewPlan(seed, nil)
//	plan.Add(fault.Rule{Service: "maa", Do: fault.Status, Status: 503, Count: 2})
//
// [Plan.Connect] and [Plan.Listener] fail connections before there is a
// request, and [Plan.Offset] sets clocks wrong.
//
// Services have hierarchical names ("maa/attest", "vault/release"). A rule for
// "maa" applies to everything below it; a rule without a service applies to
// all.
package fault

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"skr/test/emulator/pki"
)

// Action is how a service fails.
type Action string

// The actions. Each comment says what the client sees.
const (
	Status        Action = "status"          // Rule.Status with an Azure error body
	Reset         Action = "reset"           // the connection or stream is torn down without an answer
	BlackHole     Action = "black-hole"      // no answer until the client gives up
	SlowFirstByte Action = "slow-first-byte" // Rule.Delay, then the genuine answer
	SlowBody      Action = "slow-body"       // the genuine answer in pieces, Rule.Delay before each
	Truncate      Action = "truncate"        // half of the genuine answer, then a reset
	Oversize      Action = "oversize"        // the genuine answer and many megabytes of white space
	NotJSON       Action = "not-json"        // status 200 and a page of HTML under a JSON content type
	ContentType   Action = "content-type"    // the genuine answer as text/html
	Answer        Action = "answer"          // the service's own refusal, named by Rule.Answer
	Redirect      Action = "redirect"        // Rule.Status, 307 if it is 0, and Rule.Location
	Forge         Action = "forge"           // the next token is forged as Rule.Forgery says
	Refuse        Action = "refuse"          // connections are reset before a byte is answered
	TLS           Action = "tls"             // the certificate has the defect Rule.Certificate
	Clock         Action = "clock"           // the service's clock is off by Rule.Offset
)

var actions = []Action{
	Status, Reset, BlackHole, SlowFirstByte, SlowBody, Truncate, Oversize, NotJSON, ContentType, Answer, Redirect, Forge, Refuse, TLS, Clock,
}

// Rule is one fault.
type Rule struct {
	// Service is a service or the head of its path: "maa", "maa/attest",
	// "vault/release", "imds/thim". "" means every service.
	Service string
	// Do is the action.
	Do Action
	// Status is the status code of the actions Status (0 means 503) and
	// Redirect (0 means 307).
	Status int
	// Answer is the name of the answer of the action Answer: one of Answers.
	Answer string
	// RetryAfter is the Retry-After header of the action Status, in whole
	// seconds; 0 means no header.
	RetryAfter time.Duration
	// Delay is the delay of the slow actions; 0 means one second.
	Delay time.Duration
	// Location is the target of the action Redirect.
	Location string
	// Forgery is the name of the forgery in a token: see the service's package.
	Forgery string
	// Certificate is the certificate's defect for the action TLS.
	Certificate pki.Defect
	// Offset is the clock's offset for the action Clock; it is positive if the
	// service is ahead.
	Offset time.Duration
	// Count is how many times the rule fires; 0 means always.
	Count int
	// Probability is how likely the rule fires when it applies; 0 means always.
	Probability float64
}

const defaultDelay = time.Second

// ParseRule parses the form of the command line:
//
//	SERVICE:ACTION[=VALUE][,count=N][,probability=P][,retry-after=D][,delay=D][,status=N]
//
// VALUE is the status code of status, the name of answer, the URL of redirect,
// the forgery of forge, the defect of tls, the offset of clock. SERVICE may be
// empty. Examples: "maa:status=429,retry-after=2s,count=3",
// ":reset,probability=0.1", "vault:tls=expired", "maa:clock=+10m".
func ParseRule(text string) (Rule, error) {
	service, rest, found := strings.Cut(text, ":")
	if !found {
		return Rule{}, fmt.Errorf("fault %q: use SERVICE:ACTION", text)
	}
	rule := Rule{Service: service}
	for i, word := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(word, "=")
		read := rule.readOption
		if i == 0 {
			read = rule.readAction
		}
		if err := read(name, value); err != nil {
			return Rule{}, fmt.Errorf("fault %q: %q: %w", text, word, err)
		}
	}
	if err := rule.validate(); err != nil {
		return Rule{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return rule, nil
}

func (r *Rule) readAction(name, value string) (err error) {
	r.Do = Action(name)
	switch {
	case r.Do == Status && value != "":
		r.Status, err = strconv.Atoi(value)
	case r.Do == Answer:
		r.Answer = value
	case r.Do == Redirect:
		r.Location = value
	case r.Do == Forge:
		r.Forgery = value
	case r.Do == TLS:
		r.Certificate = pki.Defect(value)
	case r.Do == Clock:
		r.Offset, err = time.ParseDuration(value)
	case value != "":
		return errors.New("this action takes no value")
	}
	return err
}

func (r *Rule) readOption(name, value string) (err error) {
	switch name {
	case "count":
		r.Count, err = strconv.Atoi(value)
	case "probability":
		r.Probability, err = strconv.ParseFloat(value, 64)
	case "retry-after":
		r.RetryAfter, err = time.ParseDuration(value)
	case "delay":
		r.Delay, err = time.ParseDuration(value)
	case "status":
		r.Status, err = strconv.Atoi(value)
	default:
		return errors.New("unknown option; use count, probability, retry-after, delay or status")
	}
	return err
}

func (r *Rule) validate() error {
	switch {
	case !slices.Contains(actions, r.Do):
		return fmt.Errorf("unknown action %q; use one of %q", r.Do, actions)
	case r.Do == Answer && !slices.Contains(Answers(), r.Answer):
		return fmt.Errorf("unknown answer %q; use one of %q", r.Answer, Answers())
	case r.Do == Forge && r.Forgery == "":
		return errors.New("the forgery is missing; use, for example, forge=alg-none")
	case r.Do == Redirect && (r.Location == "" || r.Status != 0 && r.Status/100 != 3):
		return errors.New("the location or a 3xx status is missing; use, for example, redirect=https://other.localhost/,status=302")
	case r.Do == TLS && !slices.Contains(pki.Defects(), r.Certificate):
		return fmt.Errorf("unknown defect %q; use one of %q", r.Certificate, pki.Defects())
	case r.Do == Clock && (r.Offset == 0 || r.Count != 0 || r.Probability != 0):
		return errors.New("clock needs an offset and takes neither count nor probability; use, for example, clock=+10m")
	case r.beforeRequests() && strings.Contains(r.Service, "/"):
		return errors.New("this action applies to a whole host; name the service without a path")
	case r.Status != 0 && (r.Status < 200 || r.Status > 599):
		return errors.New("the status must be from 200 to 599")
	case r.Count < 0 || r.RetryAfter < 0 || r.Delay < 0:
		return errors.New("numbers must not be negative")
	case !(r.Probability >= 0 && r.Probability <= 1):
		return errors.New("the probability must be from 0 to 1")
	}
	return nil
}

func (r *Rule) covers(service string) bool {
	return Under(service, r.Service)
}

// Under reports whether service is head or below it: "maa/attest" is under
// "maa".
func Under(service, head string) bool {
	rest, found := strings.CutPrefix(service, head)
	return found && (head == "" || rest == "" || rest[0] == '/')
}

// beforeRequests reports whether the rule acts before the path of a request is
// known.
func (r *Rule) beforeRequests() bool { return r.Do == Refuse || r.Do == TLS || r.Do == Clock }

func (r *Rule) status() int {
	switch {
	case r.Status != 0:
		return r.Status
	case r.Do == Redirect:
		return http.StatusTemporaryRedirect
	}
	return http.StatusServiceUnavailable
}

func (r *Rule) delay() time.Duration {
	if r.Delay == 0 {
		return defaultDelay
	}
	return r.Delay
}
