package serving

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// proc is where the proc file system is mounted.
type proc string

func (p proc) read(parts ...string) string {
	text, err := os.ReadFile(filepath.Join(append([]string{string(p)}, parts...)...))
	if err != nil {
		return "" // the process has ended, or there is no proc file system
	}
	return string(text)
}

// socket is a row of /proc/net/tcp.
type socket struct{ inode, uid string }

// The columns of /proc/net/tcp and tcp6, and the state of a listener (proc_pid_net(5),
// TCP_LISTEN of linux/tcp_states.h).
const (
	localColumn, stateColumn, uidColumn, inodeColumn = 1, 3, 7, 9

	listening = "0A"
)

// listener returns the socket that keeps others from listening on wanted.
func (p proc) listener(wanted netip.AddrPort) (socket, bool) {
	for line := range strings.Lines(p.read("net", "tcp") + p.read("net", "tcp6")) {
		row := strings.Fields(line)
		if len(row) <= inodeColumn || row[stateColumn] != listening {
			continue
		}
		if local, ok := parseAddress(row[localColumn]); ok && conflict(local, wanted) {
			return socket{row[inodeColumn], row[uidColumn]}, true
		}
	}
	return socket{}, false
}

// conflict reports whether two sockets cannot listen on both addresses.
func conflict(one, other netip.AddrPort) bool {
	a, b := one.Addr().Unmap().WithZone(""), other.Addr().Unmap().WithZone("")
	return one.Port() == other.Port() && (a == b || isEvery(a) || isEvery(b))
}

// isEvery reports whether the address stands for all of this machine's. The zero value
// is that of ":8080".
func isEvery(address netip.Addr) bool { return !address.IsValid() || address.IsUnspecified() }

// parseAddress reads "0100007F:1F90": the kernel prints each 32 bits of an address as
// a number in the byte order of the machine.
func parseAddress(text string) (netip.AddrPort, bool) {
	digits, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(digits)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	address, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address, uint16(number)), ok
}

// process is one that runs.
type process struct {
	pid     int
	command string // at most 15 bytes, without arguments
}

// String is "process 4242 (skr)".
func (r process) String() string {
	if r.command == "" {
		return fmt.Sprintf("process %d", r.pid)
	}
	return fmt.Sprintf("process %d (%s)", r.pid, r.command)
}

// says what to do about a holder.
func (r process) says(where string) string {
	if r.pid == os.Getpid() {
		return "this process itself listens " + where + "; give each listener its own address"
	}
	return r.String() + " listens " + where + "; " + advice
}

func (p proc) process(pid int) process {
	command := strings.Trim(strconv.Quote(strings.TrimSpace(p.read(strconv.Itoa(pid), "comm"))), `"`)
	return process{pid, command}
}

// owner returns the process that has the socket open. A process may hide its files, as
// skr does (package hardening): then suspects are those of the socket's user that do,
// of them only those with the name of this program if there are any.
func (p proc) owner(held socket) (found *process, suspects []process) {
	var namesakes []process
	self := p.process(os.Getpid()).command
	entries, _ := os.ReadDir(string(p)) // without a proc file system there are none
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		has, readable := p.has(entry.Name(), "socket:["+held.inode+"]")
		candidate := p.process(pid)
		switch {
		case has:
			return &candidate, nil
		case readable || p.uid(entry.Name()) != held.uid:
		case candidate.command == self && self != "":
			namesakes = append(namesakes, candidate)
		default:
			suspects = append(suspects, candidate)
		}
	}
	if len(namesakes) > 0 {
		return nil, namesakes
	}
	return nil, suspects
}

// has reports whether a process has the file open, and whether its files can be read.
func (p proc) has(pid, file string) (has, readable bool) {
	dir := filepath.Join(string(p), pid, "fd")
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if target, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil && target == file {
			return true, true
		}
	}
	return false, err == nil
}

// uid returns the effective user of a process.
func (p proc) uid(pid string) string {
	for line := range strings.Lines(p.read(pid, "status")) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "Uid:" {
			return fields[2] // real, effective, saved, file system
		}
	}
	return ""
}
