package main

import (
	"strconv"
	"syscall"
	"time"
)

// open opens a regular file, whatever stands at the path by then: a FIFO or a device is looked at, never opened.
func open(path string) (int, *syscall.Stat_t, *refusal) {
	looked, err := syscall.Open(path, oPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, nil, failed(path, err)
	}
	defer syscall.Close(looked)
	var found syscall.Stat_t
	if err := syscall.Fstat(looked, &found); err != nil {
		return -1, nil, failed(path, err)
	}
	if found.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return -1, nil, refuse("not_regular_file", "%s is not a regular file", path)
	}
	flags := syscall.O_RDONLY | syscall.O_NONBLOCK | syscall.O_CLOEXEC
	descriptor, err := syscall.Open("/proc/self/fd/"+strconv.Itoa(looked), flags, 0)
	if err != nil {
		return -1, nil, failed(path, err)
	}
	return descriptor, &found, nil
}

// getFile serves a download: what the file holds to its end, whatever its size was.
func (c *conversation) getFile(path string, gone <-chan struct{}) *final {
	descriptor, found, bad := open(path)
	if bad != nil {
		return refusing(bad)
	}
	defer syscall.Close(descriptor)
	buffer := buffers.Get().([]byte)
	defer buffers.Put(buffer)
	header := control(`{"ok":true,"mode":%d,"size":%d}`, found.Mode&0o7777, found.Size)
	if c.send(frameJSON, buffer, copy(buffer[headerSize:], header.payload)) != nil {
		return nil
	}
	began := time.Now()
	for {
		n, err := syscall.Read(descriptor, buffer[headerSize:])
		switch {
		case n > 0:
			if c.send(frameData, buffer, n) != nil {
				return nil
			}
			began = time.Now()
		case err == syscall.EAGAIN && time.Since(began) < c.ioTimeout: // a file that has nothing to say yet
			select {
			case <-gone:
				return nil
			case <-time.After(20 * time.Millisecond):
			}
		case err == syscall.EINTR:
		case err != nil:
			return nil // without EOF, so that nobody takes the part for the whole
		default:
			return &final{frameEOF, ""}
		}
	}
}
