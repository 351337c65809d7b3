package main

import (
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	frameJSON, frameStdout, frameStderr, frameData, frameEOF = 1, 2, 3, 4, 5

	headerSize = 5
	frameCap   = 16 << 20
	chunk      = 64 << 10
	lookOut    = 50 * time.Millisecond // how often a hang-up is looked for
)

var errCap = errors.New("a frame over the cap")

// conversation is one connection: one request, one response.
type conversation struct {
	*agent
	file  *os.File
	raw   syscall.RawConn
	place *list.Element // among the incomplete ones

	sending sync.Mutex
	timed   atomic.Bool // whether a send that makes no progress is given up after --io-timeout
}

var buffers = sync.Pool{New: func() any { return make([]byte, headerSize+chunk) }}

// begin takes a connection in, in the order in which they come.
func (a *agent) begin(file *os.File) *conversation {
	raw, _ := file.SyscallConn()
	c := &conversation{agent: a, file: file, raw: raw}
	a.enter(c)
	return c
}

// serve goes through a whole conversation and closes the connection.
func (c *conversation) serve() {
	defer c.leave()
	defer c.file.Close()
	made, bad, err := c.request()
	c.complete(c)
	if err != nil {
		return // without a word
	}
	c.timed.Store(true)
	if bad != nil {
		c.log("refused: %s", bad.code)
		c.end(refusing(bad))
		return
	}
	c.dispatch(made)
}

// request reads the first frame and judges it: type, size, content. An error is the end of the conversation.
func (c *conversation) request() (*object, *refusal, error) {
	end := time.Now().Add(c.requestTimeout)
	c.file.SetReadDeadline(end)
	kind, size, err := c.header()
	if err != nil {
		return nil, nil, err
	}
	if kind != frameJSON || size > maxControl {
		if err := c.discard(size); err != nil {
			return nil, nil, err
		}
		if kind != frameJSON {
			return nil, refuse("malformed", "a request is a control frame, not one of type %d", kind), nil
		}
		return nil, refuse("too_large", "a request has at most %d bytes", maxControl), nil
	}
	if !c.reserve(size, end) {
		return nil, nil, os.ErrDeadlineExceeded
	}
	defer c.release(size)
	payload := make([]byte, size)
	if _, err := io.ReadFull(c.file, payload); err != nil {
		return nil, nil, err
	}
	made, bad := parse(payload)
	return made, bad, nil
}

// ---- receiving

// header reads the first bytes of a frame. io.EOF is an end of stream before it.
func (c *conversation) header() (kind byte, size int, err error) {
	var header [headerSize]byte
	if _, err = io.ReadFull(c.file, header[:]); err != nil {
		return 0, 0, err
	}
	size = int(binary.BigEndian.Uint32(header[1:]))
	if size > frameCap {
		return 0, 0, errCap
	}
	return header[0], size, nil
}

func (c *conversation) discard(size int) error {
	return c.receive(size, func([]byte) {})
}

// receive hands the next `size` bytes on in pieces. With a timed conversation each piece has --io-timeout to come.
func (c *conversation) receive(size int, take func([]byte)) error {
	buffer := buffers.Get().([]byte)
	defer buffers.Put(buffer)
	for size > 0 {
		c.patience()
		n, err := c.file.Read(buffer[:min(size, chunk)])
		if n > 0 {
			take(buffer[:n])
			size -= n
		} else if err != nil {
			return err
		}
	}
	return nil
}

// patience gives what is received next its time.
func (c *conversation) patience() {
	if c.timed.Load() {
		c.file.SetReadDeadline(time.Now().Add(c.ioTimeout))
	}
}

// ---- sending

// send sends a frame whose payload stands in buffer[headerSize:headerSize+size]: whole, or not to its end.
func (c *conversation) send(kind byte, buffer []byte, size int) error {
	buffer[0] = kind
	binary.BigEndian.PutUint32(buffer[1:], uint32(size))
	c.sending.Lock()
	defer c.sending.Unlock()
	for rest := buffer[:headerSize+size]; len(rest) > 0; {
		if c.timed.Load() {
			c.file.SetWriteDeadline(time.Now().Add(c.ioTimeout))
		}
		var n int
		var err error
		late := c.raw.Write(func(descriptor uintptr) bool {
			n, err = syscall.Write(int(descriptor), rest)
			return err != syscall.EAGAIN
		})
		if late != nil {
			return late
		}
		if err != nil && err != syscall.EINTR {
			return err
		}
		rest = rest[max(n, 0):]
	}
	return nil
}

// hurry puts sending under --io-timeout from now on, a send that waits already too.
func (c *conversation) hurry() {
	c.timed.Store(true)
	c.file.SetWriteDeadline(time.Now().Add(c.ioTimeout))
}

// final is the frame that ends a response; nil closes the connection without a word.
type final struct {
	kind    byte
	payload string
}

func control(format string, values ...any) *final {
	return &final{frameJSON, fmt.Sprintf(format, values...)}
}

func refusing(bad *refusal) *final {
	return control(`{"ok":false,"op":"error","error":%s,"code":%s}`, quote(clip(bad.text)), quote(bad.code))
}

// end sends the terminal frame and lingers, so that a host that still sends loses nothing.
func (c *conversation) end(last *final) {
	if last == nil {
		return
	}
	if c.send(last.kind, append(make([]byte, headerSize), last.payload...), len(last.payload)) == nil {
		c.linger()
	}
}

func (c *conversation) linger() {
	c.raw.Control(func(descriptor uintptr) { syscall.Shutdown(int(descriptor), syscall.SHUT_WR) })
	c.timed.Store(false)
	c.file.SetReadDeadline(time.Now().Add(c.lingerTimeout))
	c.discard(1 << 62)
}

// ---- hang-ups

// watch says when the host has closed the connection. What it still sends is not looked at, so a half-close is none. `stop` ends
// the watch.
func (c *conversation) watch() (gone <-chan struct{}, stop func()) {
	seen, done := make(chan struct{}), make(chan struct{})
	go func() {
		tick := time.NewTicker(lookOut)
		defer tick.Stop()
		for !c.hungUp() {
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
		close(seen)
	}()
	return seen, func() { close(done) }
}

func (c *conversation) hungUp() (gone bool) {
	if c.raw.Control(func(descriptor uintptr) { gone = hungUp(descriptor) }) != nil {
		return true
	}
	return gone
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func max(a, b int) int { return -min(-a, -b) }
