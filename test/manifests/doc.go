// Package manifests tests what is in deploy: charts and components are rendered by
// the libraries of Helm and Kustomize, decoded strictly with the types of Kubernetes,
// held against the standard for restricted pods, and compared with the settings and
// metrics of the program. It is tests only, and a module of its own, so that skr's
// own go.mod stays small.
package manifests
