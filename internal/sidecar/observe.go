package sidecar

import (
	"context"
	"errors"
	"log/slog"
	"strconv"

	"skr/api"
	"skr/internal/azure/httpclient"
	"skr/internal/azure/outbound"
	"skr/internal/config"
	"skr/internal/observe/journal"
	"skr/internal/observe/metrics"
	"skr/internal/observe/tracing"
	"skr/internal/sbom"
	"skr/internal/sidecar/coco"
	"skr/internal/sidecar/server"
	"skr/keyrelease"
	"skr/releasepolicy/claims"
)

// observer passes events to metrics and traces. A nil observer does nothing, for commands that run
// once.
type observer struct {
	metrics  *metrics.Metrics
	tracer   *tracing.Tracer // nil disables tracing
	untraced error           // why tracing failed, if the environment enables it
}

func newTracer(ctx context.Context, env config.Environment, log *slog.Logger) (*tracing.Tracer, error) {
	return tracing.New(ctx, tracing.Config{
		Getenv: func(name string) string { return env[name] }, Version: sbom.Version(), Logger: log,
	})
}

func newObserver(ctx context.Context, env config.Environment, log *slog.Logger) *observer {
	tracer, err := newTracer(ctx, env, log)
	return &observer{metrics.New(metricsConfig()), tracer, err}
}

// metricsConfig returns the values of the labels.
func metricsConfig() metrics.Config {
	codes := make([]string, 0, len(api.Codes())+1)
	for _, code := range api.Codes() {
		codes = append(codes, string(code))
	}
	return metrics.Config{
		Version: sbom.Version(), Routes: append(routes(), coco.RouteInfo), Codes: append(codes, server.CodeGone),
		Services: []string{
			outbound.ServiceMAA, outbound.ServiceVault, outbound.ServiceEntra, outbound.ServiceIMDS,
			outbound.ServiceTHIM, outbound.ServiceAzureCache, outbound.ServiceKDS,
			outbound.ServiceIntel, outbound.ServiceTDQuote,
		},
		Claims: publicClaims(),
	}
}

func (o *observer) finished(outcome journal.Outcome) {
	o.metrics.Finished(outcome)
	o.tracer.Finished(outcome)
}

// exchanges returns a function to call after each attempt of a request to service.
func (o *observer) exchanges(service string) func(context.Context, httpclient.Exchange) {
	return func(ctx context.Context, e httpclient.Exchange) {
		journal.Asked(ctx, journal.Call{Service: service, Start: e.Start, End: e.End, Status: e.Status, RequestID: e.RequestID})
		if o != nil {
			o.metrics.Asked(service, outcomeOf(e.Status), e.End.Sub(e.Start))
		}
	}
}

// outcomeOf returns the class of a status.
func outcomeOf(status int) string {
	if status == 0 {
		return "unreachable"
	}
	return strconv.Itoa(status/100) + "xx"
}

// publicClaims returns the claims whose names may be labels.
func publicClaims() (names []string) {
	for _, claim := range claims.All() {
		if claims.Public(claim.Name) {
			names = append(names, claim.Name)
		}
	}
	return names
}

// wrote counts an attempt to bring a sink up to date.
func (o *observer) wrote(result string) {
	if o != nil {
		o.metrics.Wrote(result)
	}
}

// used counts operations that ended with code.
func (o *observer) used(use server.Use, code string) {
	if o != nil {
		o.metrics.Used(string(use.Operation), code, use.Count, use.Took)
	}
}

// released counts a release that ended with code, and why it was refused.
func (o *observer) released(code string, failed error) {
	if o == nil {
		return
	}
	o.metrics.Released(resultOf(code), code)
	if refused, ok := errors.AsType[*keyrelease.UnmetError](failed); ok {
		for _, u := range refused.Conditions {
			o.metrics.Unmet(u.Claim)
		}
	}
}

// resultOf returns different results for refusals, which are permanent, and failures.
func resultOf(code string) string {
	switch api.Code(code) {
	case server.CodeOK:
		return "released"
	case api.EndpointNotAllowed, api.CallerNotAllowed, api.AttestationRejected, api.ReleaseRejected, api.OperationRejected, api.KeyNotFound:
		return "refused"
	}
	return "failed"
}

// close sends the remaining spans, even if ctx has ended.
func (o *observer) close(ctx context.Context, log *slog.Logger) {
	if err := o.tracer.Shutdown(context.WithoutCancel(ctx)); err != nil {
		log.Warn("spans are lost", "error", err.Error())
	}
}
