package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unicode/utf8"
)

// A refusal is an error that the host is told: a code of the contract and a text that a person can act on.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return r.text }

func refuse(code, format string, values ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, values...)}
}

var codes = map[syscall.Errno]string{
	syscall.ENOENT: "not_found", syscall.ENOTDIR: "not_found", syscall.ELOOP: "not_found",
	syscall.EACCES: "permission_denied", syscall.EPERM: "permission_denied", syscall.EROFS: "permission_denied",
	syscall.EISDIR: "is_directory",
	syscall.ENOSPC: "no_space", syscall.EDQUOT: "no_space", syscall.EFBIG: "no_space",
	syscall.ENAMETOOLONG: "invalid_argument",
}

// failed turns a failed system call into what the host is told: the one table of codes.
func failed(what string, err error) *refusal {
	var number syscall.Errno
	code := "io_error"
	if errors.As(err, &number) && codes[number] != "" {
		code = codes[number]
	}
	return refuse(code, "%s: %s", what, err)
}

// clip makes a text fit for an error frame: valid UTF-8, at most 1,024 bytes, not empty.
func clip(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "?"), "?")
	for len(text) > 1024 {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	if text == "" {
		return "failed"
	}
	return text
}
