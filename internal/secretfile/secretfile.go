// Package secretfile checks where files with secrets are kept, and whose they are.
package secretfile

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Owner is the user and the group of a file. -1 leaves those of this process.
type Owner struct{ UID, GID int }

// SameOwner leaves the owner.
var SameOwner = Owner{-1, -1}

// ParseOwner parses uid or uid:gid, which are numbers. "" is [SameOwner].
func ParseOwner(text string) (Owner, error) {
	if text == "" {
		return SameOwner, nil
	}
	user, group, both := strings.Cut(text, ":")
	uid, err := parseID(user)
	o := Owner{uid, -1}
	if err == nil && both {
		o.GID, err = parseID(group)
	}
	if err != nil {
		return SameOwner, errors.New("write the numbers uid or uid:gid")
	}
	return o, nil
}

// parseID parses a user or a group. The largest number stands for none (chown(2)).
func parseID(text string) (int, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || id == math.MaxUint32 {
		return 0, errors.New("no id")
	}
	return int(id), nil
}

// InMemory reports whether a file system, which statfs(2) described, keeps its files in memory: a
// disk keeps what was written to it. kind is its type, for messages.
func InMemory(found unix.Statfs_t) (kind int64, memory bool) {
	kind = int64(found.Type) //nolint:unconvert // int32 on other architectures
	return kind, kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC
}
