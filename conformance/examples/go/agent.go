package main

import (
	"container/list"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	maxConnections = 1024
	freeRequest    = 4 << 10 // a request up to this size is read without asking for room
	requestRoom    = 4 << 20 // for all larger ones that are not complete
)

// agent is what the conversations share.
type agent struct {
	settings
	instance    string
	lines       chan string   // the log
	slots       chan struct{} // a place for each run, put_file and get_file; Go wakes those that wait in order
	socketPath  string
	socketInode uint64

	mutex       sync.Mutex // also held while commands start and files appear, so that stop() misses none
	commands    map[int]bool
	temporaries map[*temporary]bool

	connections sync.Mutex
	changed     *sync.Cond // a connection has ended or its request is complete; room was given back
	count       int
	incomplete  *list.List // of *conversation, the oldest first
	room        int
}

func newAgent(s settings) *agent {
	random := make([]byte, 8)
	rand.Read(random)
	made := &agent{settings: s, instance: hex.EncodeToString(random), lines: make(chan string, 64),
		slots:    make(chan struct{}, s.maxRequests),
		commands: map[int]bool{}, temporaries: map[*temporary]bool{}, incomplete: list.New(), room: requestRoom}
	made.changed = sync.NewCond(&made.connections)
	go func() {
		for line := range made.lines {
			fmt.Fprintf(os.Stderr, "agent: %s\n", line)
		}
	}()
	return made
}

// log says what happened in one line, or loses it: a stderr that takes nothing stalls nobody.
func (a *agent) log(format string, values ...any) {
	if a.quiet {
		return
	}
	select {
	case a.lines <- strconv.QuoteToASCII(fmt.Sprintf(format, values...)):
	default:
	}
}

// ready tells whoever asked that connections are accepted. Nobody is waited for.
func (a *agent) ready() {
	if a.readyFD >= 0 {
		go func() {
			syscall.Write(a.readyFD, []byte("READY=1\n"))
			syscall.Close(a.readyFD)
		}()
	}
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return
	}
	if address[0] != '/' && address[0] != '@' {
		a.log("NOTIFY_SOCKET: only paths and abstract names are served here")
		return
	}
	descriptor, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err == nil {
		err = syscall.Sendto(descriptor, []byte("READY=1\n"), 0, &syscall.SockaddrUnix{Name: address})
		syscall.Close(descriptor)
	}
	if err != nil {
		a.log("NOTIFY_SOCKET: %s", err)
	}
}

// ---- connections and their memory

// roomForOneMore waits until a connection can be held: while all 1,024 are being served, say.
func (a *agent) roomForOneMore() {
	a.connections.Lock()
	defer a.connections.Unlock()
	for a.count >= maxConnections && a.incomplete.Len() == 0 {
		a.changed.Wait()
	}
}

// enter counts a connection, and closes the oldest incomplete one if it is one too many.
func (a *agent) enter(c *conversation) {
	a.connections.Lock()
	defer a.connections.Unlock()
	a.count++
	if a.count > maxConnections {
		oldest := a.incomplete.Front().Value.(*conversation)
		a.incomplete.Remove(a.incomplete.Front())
		oldest.place = nil
		oldest.file.SetReadDeadline(time.Unix(1, 0))
	}
	c.place = a.incomplete.PushBack(c)
}

// complete is called when the request is there, or never will be.
func (a *agent) complete(c *conversation) {
	a.connections.Lock()
	defer a.connections.Unlock()
	if c.place != nil {
		a.incomplete.Remove(c.place)
		c.place = nil
	}
	a.changed.Broadcast()
}

func (a *agent) leave() {
	a.connections.Lock()
	defer a.connections.Unlock()
	a.count--
	a.changed.Broadcast()
}

// reserve waits for room for a large request until `end`. Return: whether it was given, to be given back by release.
func (a *agent) reserve(size int, end time.Time) bool {
	if size <= freeRequest {
		return true
	}
	alarm := time.AfterFunc(time.Until(end), a.changed.Broadcast)
	defer alarm.Stop()
	a.connections.Lock()
	defer a.connections.Unlock()
	for a.room < size && time.Now().Before(end) {
		a.changed.Wait()
	}
	if a.room < size {
		return false
	}
	a.room -= size
	return true
}

func (a *agent) release(size int) {
	if size > freeRequest {
		a.connections.Lock()
		a.room += size
		a.changed.Broadcast()
		a.connections.Unlock()
	}
}

// ---- orphans

// reapOrphans has to be called on the main thread: the kernel gives it the orphans, while the commands are children of other
// threads. So no run's status is taken.
func reapOrphans() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|wnothread, nil)
		if pid <= 0 && err != syscall.EINTR {
			return
		}
	}
}
