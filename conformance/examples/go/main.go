// A guest agent of the guest control protocol, version 1, in Go with nothing but the standard library.
//
// One goroutine serves a connection from its first byte to its last. What is worth copying: the strict reader (json.go), how
// a hang-up is told from a half-close (conn.go), and how a command is killed with its group and reaped last (run.go).
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const version = "0.1.0"

// spareThreads are made at the start. Go's runtime keeps every thread that it once needed, for as long as the process lives;
// so that a burst of requests does not look like a leak, those that a burst needs are there from the beginning.
const spareThreads = 24

// The main goroutine keeps the main thread: orphans are that thread's (reapOrphans), and no command is started on it.
// One thread at a time runs Go code, or the scheduler would take requests in any order: they wait their turn in theirs.
func init() {
	runtime.LockOSThread()
	runtime.GOMAXPROCS(1)
}

func main() {
	openStandard()
	cleanSignals()
	settings, err := parseOptions(os.Args[1:], os.Getenv("SMOLVM_AGENT_PORT"))
	if err != nil {
		fail(2, err)
	}
	closeOnExec()
	makeThreads(spareThreads)
	agent := newAgent(settings)
	// Handled, not ignored: a command starts with every signal at its default, and what is ignored would stay ignored there.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGXFSZ)
	listener, status, err := listen(settings.listen)
	if err != nil {
		fail(status, err)
	}
	agent.socketPath, agent.socketInode = listener.path, listener.inode
	go func() {
		if listener.connected {
			agent.begin(listener.file).serve()
			os.Exit(0)
		}
		agent.ready()
		agent.accept(listener)
	}()
	agent.handle(signals)
}

// openStandard puts /dev/null where descriptor 0, 1 or 2 is missing: whatever is opened first would get its number.
func openStandard() {
	for {
		descriptor, err := syscall.Open(os.DevNull, syscall.O_RDWR, 0)
		if err != nil || descriptor > 2 {
			syscall.Close(descriptor)
			return
		}
	}
}

func fail(status int, err error) {
	fmt.Fprintf(os.Stderr, "agent: %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
	os.Exit(status)
}

// handle answers signals for as long as the process lives.
func (a *agent) handle(signals <-chan os.Signal) {
	for received := range signals {
		switch received {
		case syscall.SIGTERM, syscall.SIGINT:
			a.stop()
		case syscall.SIGCHLD:
			reapOrphans()
		}
	}
}

// stop ends everything: no new command or file once the lock is taken, and it is never given back.
func (a *agent) stop() {
	a.mutex.Lock()
	for pid := range a.commands {
		syscall.Kill(-pid, syscall.SIGKILL)
	}
	for file := range a.temporaries {
		syscall.Unlinkat(file.directory, file.name)
	}
	if a.socketPath != "" {
		var found syscall.Stat_t
		if syscall.Lstat(a.socketPath, &found) == nil && found.Ino == a.socketInode {
			os.Remove(a.socketPath)
		}
	}
	os.Exit(0)
}

// cleanSignals makes sure that no signal is blocked or ignored, whatever the agent was started with: commands inherit both. Go
// cannot take back a mask for the threads that it makes later, so the program is started again with clean ones.
func cleanSignals() {
	const guard = "GUEST_AGENT_CLEAN"
	clean := os.Getenv(guard) != ""
	os.Unsetenv(guard)
	status, _ := os.ReadFile("/proc/self/status")
	dirty := false
	for _, line := range strings.Split(string(status), "\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "SigBlk" || name == "SigIgn" {
			dirty = dirty || strings.Trim(value, "\t0") != ""
		}
	}
	if clean || !dirty {
		return
	}
	resetSignals()
	syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), guard+"=1"))
}

// closeOnExec keeps descriptors that the agent was given from its commands. (Those that it makes itself are born so.)
func closeOnExec() {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		var number int
		if _, err := fmt.Sscan(entry.Name(), &number); err == nil && number > 2 {
			syscall.CloseOnExec(number)
		}
	}
}

func makeThreads(count int) {
	ends := make([]int, 2)
	if syscall.Pipe2(ends, syscall.O_CLOEXEC) != nil {
		return
	}
	var begun, ended sync.WaitGroup
	for i := 0; i < count; i++ {
		begun.Add(1)
		ended.Add(1)
		go func() {
			defer ended.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			begun.Done()
			syscall.Read(ends[0], make([]byte, 1))
		}()
	}
	begun.Wait()
	time.Sleep(time.Millisecond)
	syscall.Close(ends[1])
	ended.Wait()
	syscall.Close(ends[0])
}
