// Package fleet simulates how a fleet of pods gets its keys after all pods restart at once,
// and what happens when a region dies.
//
// These parts are real, with the product's code: the application's client with its retries
// (api), the server with its table of refusals and its Retry-After (internal/sidecar/server),
// fallbacks (keyrelease.Anywhere), and the client of the services with its attempts, waits,
// budget, circuits and turns (internal/azure/httpclient). Each pod has its own client.
//
// These parts are simulated:
//   - the services, which count and throttle ([Service])
//   - a release, which sends one request to the authority and one to the vault, because
//     keyrelease.Releaser would take hours to make a hundred thousand key pairs
//   - the pods' machines, which start within a few seconds
//   - time, which testing/synctest advances when every goroutine waits
//
// No key is wrapped and no token is signed, because the simulation measures waiting.
package fleet
