package main

import (
	"syscall"
	"unsafe"
)

// System calls that Go's standard library has no function for.

const (
	pidfdOpen     = 434
	pidfdNonblock = syscall.O_NONBLOCK
	pollHangUp    = 0x10
	pollError     = 0x08
	fionread      = 0x541B
	afVsock       = 40
	hostCID       = 2
	anyCID        = 0xFFFFFFFF
	oPath         = 0x200000
	soDomain      = 39
	wnothread     = 0x20000000
)

type vsockAddress struct {
	family, reserved uint16
	port, cid        uint32
	zero             [4]byte
}

// resetSignals puts every signal at its default and empties this thread's mask.
func resetSignals() {
	var action struct {
		handler           uintptr
		flags             uint64
		restorer, blocked uintptr
	}
	for number := uintptr(1); number <= 64; number++ {
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, number, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	}
	var mask uint64
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 2, uintptr(unsafe.Pointer(&mask)), 0, 8, 0, 0)
}

// hungUp says whether the peer has closed its socket. A half-close does not read so.
func hungUp(descriptor uintptr) bool {
	poll := struct {
		descriptor       int32
		events, returned int16
	}{descriptor: int32(descriptor)}
	var now syscall.Timespec
	syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&now)), 0, 8, 0)
	return poll.returned&(pollHangUp|pollError) != 0
}

// hasExited says whether a process has ended, and leaves it as it is: its id stays taken until it is reaped.
func hasExited(pid int) bool {
	const byPID, options = 1, syscall.WEXITED | syscall.WNOHANG | syscall.WNOWAIT
	var info [128]byte
	_, _, number := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(pid), uintptr(unsafe.Pointer(&info)), options, 0, 0)
	return number != 0 || *(*int32)(unsafe.Pointer(&info)) != 0 // si_signo
}

func openPID(pid int) (int, error) {
	descriptor, _, number := syscall.Syscall(pidfdOpen, uintptr(pid), pidfdNonblock, 0)
	if number != 0 {
		return -1, number
	}
	return int(descriptor), nil
}

// waiting is the number of bytes that a pipe holds.
func waiting(descriptor uintptr) int {
	var count int32
	syscall.Syscall(syscall.SYS_IOCTL, descriptor, fionread, uintptr(unsafe.Pointer(&count)))
	return int(count)
}

// accept4 returns the new descriptor and, for vsock, the peer's CID.
func accept4(descriptor uintptr) (int, uint32, syscall.Errno) {
	var address struct {
		vsockAddress
		rest [128]byte
	}
	size := uint32(unsafe.Sizeof(address))
	made, _, number := syscall.Syscall6(syscall.SYS_ACCEPT4, descriptor, uintptr(unsafe.Pointer(&address)),
		uintptr(unsafe.Pointer(&size)), syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0, 0)
	if address.family != afVsock {
		address.cid = hostCID
	}
	return int(made), address.cid, number
}

func bindVsock(descriptor int, cid, port uint32) error {
	address := vsockAddress{family: afVsock, cid: cid, port: port}
	_, _, number := syscall.Syscall(syscall.SYS_BIND, uintptr(descriptor), uintptr(unsafe.Pointer(&address)),
		unsafe.Sizeof(address))
	if number != 0 {
		return number
	}
	return nil
}
