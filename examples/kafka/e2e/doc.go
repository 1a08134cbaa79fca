// Package e2e runs the demonstration as in the documentation of AKS
// confidential containers: the pods of deploy/kafka under podman, with images
// built from scratch. A browser reads the page and a second Kafka client reads
// the topic. The package contains only tests.
//
// To get pictures of the page:
//
//	go test ./e2e -artifacts -outputdir DIR
package e2e
