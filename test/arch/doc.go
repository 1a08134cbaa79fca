// Package arch holds the shape of the program: who may import whom, and what
// must never reach the product. It is tests only.
package arch
