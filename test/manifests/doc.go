// Package manifests tests the contents of deploy. Charts and components are
// rendered by the libraries of Helm and Kustomize, decoded strictly with the
// types of Kubernetes, checked against the standard for restricted pods, and
// compared with the settings and metrics of the program. The package contains
// only tests. It is a separate module, so that skr's own go.mod stays small.
package manifests
