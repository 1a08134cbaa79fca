// Package e2e runs the demonstration as the documentation of AKS confidential
// containers has it: the pods of deploy/kafka under podman, with images built from
// scratch, the page read with a browser, and the topic with a second Kafka client.
// It is tests only.
//
// Pictures of the page, for a person to look at:
//
//	go test ./e2e -artifacts -outputdir DIR
package e2e
