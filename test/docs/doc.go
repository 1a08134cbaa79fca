// Package docs runs the commands of the documentation. It contains only tests.
package docs
