// Package apiserver installs what deploy has into a real Kubernetes API server.
// It builds kube-apiserver and etcd from their modules, starts them, and creates
// the objects with strict field validation in namespaces that enforce pod
// security. No controller runs, so the tests create the pods of each workload
// themselves. The package contains only tests. It is a separate module, because
// it needs the modules of Kubernetes; `make apiserver` runs it.
package apiserver
