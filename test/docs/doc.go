// Package docs runs what the documentation says. It is tests only.
package docs
