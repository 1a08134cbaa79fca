// Package pages reads all documents and checks their links, the width of their lines, and their index.
package pages
