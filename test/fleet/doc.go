// Package fleet simulates how a whole fleet of pods gets its keys after all of
// them restart at once, and how it does when a region dies.
//
// Real, and the same code as in the product: the application's client with its
// retries (api), the server with its table of refusals and its Retry-After
// (internal/sidecar/server), fall-backs (keyrelease.Anywhere), and the client of the
// services with its attempts, waits, budget, circuits and turns
// (internal/azure/httpclient); each pod has its own. Simulated: the services, which
// count and throttle ([Service]); what a release asks of them, one request to the
// authority and one to the vault in place of keyrelease.Releaser, since a hundred
// thousand key pairs would take hours to make; the pods' machines, which start
// within a few seconds of each other; and time, which testing/synctest lets pass
// as soon as everybody waits. No key is wrapped and no token signed: a simulation
// of waiting says nothing of cryptography.
package fleet
