package main

import (
	"os"
	"sync"
	"syscall"
	"time"
)

// command is a shell in a session of its own. Until reap() its process id, and with it that of its group, stays taken: whatever
// is signalled by it is the command's.
type command struct {
	pid    int
	exit   *os.File    // readable once the shell has exited
	output [2]*os.File // of stdout and stderr
	exited chan struct{}
}

// start runs a command with the agent's own directory, umask and limits, and no descriptor but 0, 1, 2.
func (a *agent) start(r *runRequest) (*command, *refusal) {
	shell, option := "/bin/sh", "-c"
	if r.shell == "login" {
		option = "-lc"
		if own := os.Getenv("SHELL"); own != "" {
			shell = own
		}
	}
	null, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, refuse("spawn_failed", "%s: %s", os.DevNull, err)
	}
	defer syscall.Close(null)
	made := &command{exited: make(chan struct{})}
	var inner [2]int
	for i := range made.output {
		var ends [2]int
		if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
			made.close()
			return nil, refuse("spawn_failed", "a pipe: %s", err)
		}
		syscall.SetNonblock(ends[0], true)
		made.output[i] = os.NewFile(uintptr(ends[0]), "output")
		inner[i] = ends[1]
		defer syscall.Close(ends[1])
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	made.pid, err = syscall.ForkExec(shell, []string{shell, option, r.cmd}, &syscall.ProcAttr{
		Env:   r.env,
		Files: []uintptr{uintptr(null), uintptr(inner[0]), uintptr(inner[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		made.close()
		return nil, refuse("spawn_failed", "%s: %s", shell, err)
	}
	a.commands[made.pid] = true
	go made.await()
	return made, nil
}

func (c *command) close() {
	for _, file := range c.output {
		if file != nil {
			file.Close()
		}
	}
}

// await closes `exited` when the shell has exited, and does not reap it. No thread waits for it: pidfds can be polled.
func (c *command) await() {
	defer close(c.exited)
	descriptor, err := openPID(c.pid)
	if err != nil { // an old kernel, or no descriptor left
		for !hasExited(c.pid) {
			time.Sleep(10 * time.Millisecond)
		}
		return
	}
	file := os.NewFile(uintptr(descriptor), "pidfd")
	defer file.Close()
	raw, _ := file.SyscallConn()
	raw.Read(func(uintptr) bool { return hasExited(c.pid) })
}

func (c *command) kill() { syscall.Kill(-c.pid, syscall.SIGKILL) }

// reap is the end of the process id: nothing is signalled after it. Return: the status, or minus the signal.
func (a *agent) reap(c *command) int {
	<-c.exited
	a.mutex.Lock()
	defer a.mutex.Unlock()
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(c.pid, &status, 0, nil); err != syscall.EINTR {
			break
		}
	}
	delete(a.commands, c.pid)
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

// run serves a command until both streams have ended and the shell has exited, its time is over, or the host is gone.
func (c *conversation) run(r *runRequest, gone <-chan struct{}) *final {
	c.timed.Store(false) // while the command lives, a host that does not read only stops its output
	c.file.SetWriteDeadline(time.Time{})
	running, bad := c.start(r)
	if bad != nil {
		c.timed.Store(true)
		return refusing(bad)
	}
	defer running.close()
	var deadline <-chan time.Time
	if r.timeout > 0 && r.timeout < 1e9 {
		timer := time.NewTimer(time.Duration(r.timeout * float64(time.Second)))
		defer timer.Stop()
		deadline = timer.C
	}
	lost := make(chan struct{}) // the host cannot be sent to
	var loss sync.Once
	var pumps sync.WaitGroup
	for i, kind := range []byte{frameStdout, frameStderr} {
		pumps.Add(1)
		go func(kind byte, pipe *os.File) {
			defer pumps.Done()
			if c.pump(kind, pipe) != nil {
				loss.Do(func() { close(lost) })
			}
		}(kind, running.output[i])
	}
	done := make(chan struct{})
	go func() {
		<-running.exited
		c.hurry()
		pumps.Wait()
		close(done)
	}()
	select {
	case <-done:
		select {
		case <-lost:
			return c.abandon(running, done)
		default:
		}
		return control(`{"ok":true,"op":"exit","exit_code":%d}`, c.reap(running))
	case <-gone:
		return c.abandon(running, done)
	case <-lost:
		return c.abandon(running, done)
	case <-deadline:
	}
	running.kill()
	for _, pipe := range running.output {
		pipe.SetReadDeadline(time.Unix(1, 0)) // pump() then takes what the pipe holds, and waits for nothing
	}
	select {
	case <-done:
	case <-gone:
		return c.abandon(running, done)
	}
	c.reap(running)
	select {
	case <-lost:
		return nil
	default:
		return control(`{"ok":true,"op":"timeout","timeout":%s}`, r.timeoutText)
	}
}

// abandon kills the group and ends the pumps, wherever they wait.
func (c *conversation) abandon(running *command, done <-chan struct{}) *final {
	running.kill()
	running.close()
	<-running.exited
	c.timed.Store(false)
	c.file.SetWriteDeadline(time.Unix(1, 0))
	<-done
	c.reap(running)
	return nil
}

// pump sends what a pipe gives, to its end or, once its read deadline has passed, what it holds by then. An error is the host's.
func (c *conversation) pump(kind byte, pipe *os.File) error {
	buffer := buffers.Get().([]byte)
	defer buffers.Put(buffer)
	for {
		n, err := pipe.Read(buffer[headerSize:])
		if n > 0 {
			if err := c.send(kind, buffer, n); err != nil {
				return err
			}
			continue
		}
		if !os.IsTimeout(err) {
			return nil
		}
		return c.drain(kind, pipe, buffer)
	}
}

func (c *conversation) drain(kind byte, pipe *os.File, buffer []byte) error {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return nil
	}
	held := 0
	raw.Control(func(descriptor uintptr) { held = waiting(descriptor) })
	for held > 0 {
		n := 0
		raw.Control(func(descriptor uintptr) {
			n, _ = syscall.Read(int(descriptor), buffer[headerSize:headerSize+min(held, chunk)])
		})
		if n <= 0 {
			return nil
		}
		held -= n
		if err := c.send(kind, buffer, n); err != nil {
			return err
		}
	}
	return nil
}
