// Package fault makes the emulated services fail on request.
//
// A [Rule] says which service fails, how, and how often; a [Plan] holds the
// rules and the one random generator that decides on probabilities, so that a
// run is repeated from its seed. [Plan.Wrap] is the HTTP middleware; a service
// that signs tokens asks [Plan.Forgery] what to spoil in the next one.
//
//	plan := fault.NewPlan(seed, nil)
//	plan.Add(fault.Rule{Service: "maa", Do: fault.Status, Status: 503, Count: 2})
//
// [Plan.Connect] and [Plan.Listener] fail connections before there is a
// request, and [Plan.Offset] sets clocks wrong.
//
// Services have hierarchical names ("maa/attest", "vault/release"); a rule for
// "maa" is for everything under it, and a rule without a service for all.
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

// The actions. The comment says what the client sees.
const (
	Status        Action = "status"          // Rule.Status with an Azure error body
	Reset         Action = "reset"           // the connection or stream is torn down without an answer
	BlackHole     Action = "black-hole"      // no answer until the client gives up
	SlowFirstByte Action = "slow-first-byte" // Rule.Delay, then the true answer
	SlowBody      Action = "slow-body"       // the true answer in pieces, Rule.Delay before each
	Truncate      Action = "truncate"        // half of the true answer, then a reset
	Oversize      Action = "oversize"        // the true answer and many megabytes of white space
	NotJSON       Action = "not-json"        // status 200 and a page of HTML under a JSON content type
	ContentType   Action = "content-type"    // the true answer as text/html
	Answer        Action = "answer"          // a refusal in the service's own words, that of Rule.Answer
	Redirect      Action = "redirect"        // Rule.Status, 307 if it is 0, and Rule.Location
	Forge         Action = "forge"           // the next token is spoilt as Rule.Forgery says
	Refuse        Action = "refuse"          // connections are reset before a byte is answered
	TLS           Action = "tls"             // the certificate is wrong as Rule.Certificate says
	Clock         Action = "clock"           // the service's clock differs by Rule.Offset
)

var actions = []Action{
	Status, Reset, BlackHole, SlowFirstByte, SlowBody, Truncate, Oversize, NotJSON, ContentType, Answer, Redirect, Forge, Refuse, TLS, Clock,
}

// Rule is one fault.
type Rule struct {
	// Service is a service or the head of its path: "maa", "maa/attest",
	// "vault/release", "imds/thim". Empty means every service.
	Service string
	// Do is the action.
	Do Action
	// Status is the status code of the actions Status, where 0 means 503, and
	// Redirect, where 0 means 307.
	Status int
	// Answer names what the action Answer says: one of Answers.
	Answer string
	// RetryAfter is sent with the action Status, in whole seconds; 0 means no
	// such header.
	RetryAfter time.Duration
	// Delay of the slow actions; 0 means one second.
	Delay time.Duration
	// Location is where the action Redirect points to.
	Location string
	// Forgery names what a forged token has wrong: see the service's package.
	Forgery string
	// Certificate is what the action TLS has wrong.
	Certificate pki.Defect
	// Offset of the action Clock: positive if the service is ahead.
	Offset time.Duration
	// Count is how many times the rule fires; 0 means for ever.
	Count int
	// Probability that the rule fires when it could; 0 means always.
	Probability float64
}

const defaultDelay = time.Second

// ParseRule reads the form of the command line:
//
//	SERVICE:ACTION[=VALUE][,count=N][,probability=P][,retry-after=D][,delay=D][,status=N]
//
// VALUE is the status code of status, the name of answer, the URL of redirect, the forgery of
// forge, the defect of tls, the offset of clock. SERVICE may be empty:
// "maa:status=429,retry-after=2s,count=3", ":reset,probability=0.1",
// "vault:tls=expired", "maa:clock=+10m".
func ParseRule(text string) (Rule, error) {
	service, rest, found := strings.Cut(text, ":")
	if !found {
		return Rule{}, fmt.Errorf("fault %q: want SERVICE:ACTION", text)
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
		return errors.New("no such option: want count, probability, retry-after, delay or status")
	}
	return err
}

func (r *Rule) validate() error {
	switch {
	case !slices.Contains(actions, r.Do):
		return fmt.Errorf("no such action %q: want one of %q", r.Do, actions)
	case r.Do == Answer && !slices.Contains(Answers(), r.Answer):
		return fmt.Errorf("no such answer %q: want one of %q", r.Answer, Answers())
	case r.Do == Forge && r.Forgery == "":
		return errors.New("say what to forge: forge=alg-none")
	case r.Do == Redirect && (r.Location == "" || r.Status != 0 && r.Status/100 != 3):
		return errors.New("say where to, with a status of 3xx: redirect=https://other.localhost/,status=302")
	case r.Do == TLS && !slices.Contains(pki.Defects(), r.Certificate):
		return fmt.Errorf("no such defect %q: want one of %q", r.Certificate, pki.Defects())
	case r.Do == Clock && (r.Offset == 0 || r.Count != 0 || r.Probability != 0):
		return errors.New("say by how much the clock differs, and nothing else: clock=+10m")
	case r.beforeRequests() && strings.Contains(r.Service, "/"):
		return errors.New("this action is for a whole host: name the service without its path")
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

// Under says whether service is head or below it: "maa/attest" is under "maa".
func Under(service, head string) bool {
	rest, found := strings.CutPrefix(service, head)
	return found && (head == "" || rest == "" || rest[0] == '/')
}

// beforeRequests says whether the rule acts where no path is known yet.
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
