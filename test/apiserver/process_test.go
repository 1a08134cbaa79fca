package apiserver

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// process is a running program with a file for its log.
type process struct {
	cmd   *exec.Cmd
	file  string
	ended chan struct{} // closed when the program has ended
	err   error         // why it ended
}

// startProcess starts a program, which the kernel kills if this process dies.
func startProcess(dir, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), file: filepath.Join(dir, filepath.Base(program)+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.file)
	if err != nil {
		return nil, err
	}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	// Its own group: a terminal's interrupt reaches this process only, which then stops the others in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	err = p.cmd.Start()
	_ = log.Close()
	if err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// stop kills the program: nothing that it has is needed afterwards.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// log returns the last lines of the program's log.
func (p *process) log() string {
	text, err := os.ReadFile(p.file)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// Ports are below those that the system assigns to connections and to listeners on port 0
// (32768 and up, ip_local_port_range in ip(7)), so nothing takes one before the program starts.
const firstPort, lastPort = 10_000, 32_000

// freePorts returns different ports at which nothing listens.
func freePorts(count int) (ports []string, err error) {
	begin := rand.IntN(lastPort - firstPort)
	for i := range lastPort - firstPort {
		port := strconv.Itoa(firstPort + (begin+i)%(lastPort-firstPort))
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		_ = listener.Close()
		if ports = append(ports, port); len(ports) == count {
			return ports, nil
		}
	}
	return nil, errors.New("all ports are taken")
}
