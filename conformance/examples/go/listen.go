package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A listener is a listening socket or, with `connected`, the one conversation there is.
type listener struct {
	file      *os.File
	connected bool
	path      string // of a Unix socket that was made here
	inode     uint64
}

func parseVsock(rest string) (cid, port uint32, err error) {
	words := strings.Split(strings.TrimPrefix(rest, "//"), ":")
	if len(words) > 2 {
		return 0, 0, errors.New("vsock:[CID:]PORT is accepted")
	}
	wide, err := strconv.ParseUint(words[len(words)-1], 10, 32)
	cid = anyCID
	if err == nil && len(words) == 2 {
		var number uint64
		number, err = strconv.ParseUint(words[0], 10, 32)
		cid = uint32(number)
	}
	return cid, uint32(wide), err
}

// checkAddress says what is wrong with an address of --listen.
func checkAddress(address string) error {
	kind, rest, _ := strings.Cut(address, ":")
	switch {
	case kind == "unix" && rest != "":
		return nil
	case kind == "fd":
		_, err := strconv.ParseUint(rest, 10, 31)
		return err
	case kind == "vsock":
		_, _, err := parseVsock(rest)
		return err
	}
	return fmt.Errorf("unix:PATH, fd:N or vsock:[CID:]PORT is accepted")
}

// listen makes or takes over the socket. With an error comes the exit status that it calls for.
func listen(address string) (*listener, int, error) {
	kind, rest, _ := strings.Cut(address, ":")
	if kind == "fd" {
		number, _ := strconv.Atoi(rest)
		return inherit(number)
	}
	var descriptor int
	var err error
	if kind == "vsock" {
		cid, port, _ := parseVsock(rest)
		if descriptor, err = syscall.Socket(afVsock, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0); err == nil {
			err = bindVsock(descriptor, cid, port)
		}
	} else {
		descriptor, err = bindUnix(rest)
	}
	if err == nil {
		err = syscall.Listen(descriptor, 1024)
	}
	if err != nil {
		return nil, 1, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	made := &listener{file: os.NewFile(uintptr(descriptor), address)}
	if kind == "unix" {
		var found syscall.Stat_t
		if syscall.Lstat(rest, &found) == nil {
			made.path, made.inode = rest, found.Ino
		}
	}
	return made, 0, nil
}

// bindUnix replaces a socket that nobody listens on, and nothing else.
func bindUnix(path string) (int, error) {
	address := &syscall.SockaddrUnix{Name: path}
	descriptor, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	before := syscall.Umask(0o177)
	defer syscall.Umask(before)
	if err = syscall.Bind(descriptor, address); err != syscall.EADDRINUSE {
		return descriptor, err
	}
	var found syscall.Stat_t
	if syscall.Lstat(path, &found) != nil || found.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return -1, errors.New("something that is no socket is there")
	}
	probe, wrong := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if wrong != nil {
		return -1, wrong
	}
	defer syscall.Close(probe)
	if syscall.Connect(probe, address) != syscall.ECONNREFUSED {
		return -1, errors.New("somebody listens there")
	}
	if err = syscall.Unlink(path); err == nil {
		err = syscall.Bind(descriptor, address)
	}
	return descriptor, err
}

// inherit takes a stream socket of AF_UNIX or AF_VSOCK that listens or is connected.
func inherit(number int) (*listener, int, error) {
	domain, err := syscall.GetsockoptInt(number, syscall.SOL_SOCKET, soDomain)
	if err != nil {
		return nil, 2, fmt.Errorf("fd:%d: %w", number, err)
	}
	kind, _ := syscall.GetsockoptInt(number, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if (domain != syscall.AF_UNIX && domain != afVsock) || kind != syscall.SOCK_STREAM {
		return nil, 2, fmt.Errorf("fd:%d is no stream socket of AF_UNIX or AF_VSOCK", number)
	}
	listens, _ := syscall.GetsockoptInt(number, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if listens == 0 {
		if _, err := syscall.Getpeername(number); err == syscall.ENOTCONN {
			return nil, 2, fmt.Errorf("fd:%d neither listens nor is connected", number)
		}
	}
	syscall.SetNonblock(number, true)
	return &listener{file: os.NewFile(uintptr(number), "fd"), connected: listens == 0}, 0, nil
}

// accept serves connections for as long as the process lives.
func (a *agent) accept(l *listener) {
	raw, _ := l.file.SyscallConn()
	for {
		a.roomForOneMore()
		var descriptor int
		var cid uint32
		var number syscall.Errno
		raw.Read(func(listening uintptr) bool {
			descriptor, cid, number = accept4(listening)
			return number != syscall.EAGAIN
		})
		if number != 0 {
			if number != syscall.EINTR && number != syscall.ECONNABORTED {
				a.log("accepting pauses: %s", number)
				time.Sleep(100 * time.Millisecond)
			}
			continue
		}
		if !a.allowAll && !a.allowed[cid] || !a.mayConnect(descriptor) {
			a.log("a connection was refused: not the host, nor root, nor the agent's own user")
			syscall.Close(descriptor)
			continue
		}
		go a.begin(os.NewFile(uintptr(descriptor), "connection")).serve()
		runtime.Gosched() // of two new goroutines the newer would run first, and requests wait their turn in order
	}
}

// mayConnect says whether the peer of a Unix socket is root or the agent's own user.
func (a *agent) mayConnect(descriptor int) bool {
	peer, err := syscall.GetsockoptUcred(descriptor, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	return err != nil || peer.Pid == 0 || peer.Uid == 0 || int(peer.Uid) == os.Geteuid()
}
