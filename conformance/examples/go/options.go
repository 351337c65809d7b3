package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type settings struct {
	listen                                   string
	requestTimeout, ioTimeout, lingerTimeout time.Duration
	maxRequests                              int
	allowed                                  map[uint32]bool // vsock peers
	allowAll                                 bool
	readyFD                                  int // -1: none
	quiet                                    bool
}

// parseOptions reads the command line; `port` is the variable of the retired agent. The error is one line for exit status 2.
func parseOptions(words []string, port string) (settings, error) {
	made := settings{requestTimeout: 10 * time.Second, ioTimeout: time.Minute, lingerTimeout: 5 * time.Second,
		maxRequests: 64, allowed: map[uint32]bool{hostCID: true}, readyFD: -1}
	given := map[string]string{}
	for len(words) > 0 {
		name, value, joined := strings.Cut(words[0], "=")
		words = words[1:]
		if _, twice := given[name]; twice && name != "--allow-cid" {
			return made, fmt.Errorf("%s is given twice", name)
		}
		switch name {
		case "--help", "--version":
			fmt.Println("guest agent (Go example) " + version)
			os.Exit(0)
		case "--quiet":
			if joined {
				return made, fmt.Errorf("--quiet takes no value")
			}
		case "--listen", "--port", "--request-timeout", "--io-timeout", "--linger-timeout", "--max-requests", "--allow-cid",
			"--ready-fd":
			if !joined {
				if len(words) == 0 {
					return made, fmt.Errorf("%s needs a value", name)
				}
				value, words = words[0], words[1:]
			}
		default:
			return made, fmt.Errorf("unknown option %q", name)
		}
		given[name] = value
		if err := made.set(name, value); err != nil {
			return made, fmt.Errorf("%s %s: %w", name, value, err)
		}
	}
	if _, chosen := given["--listen"]; !chosen {
		if value, chosen := given["--port"]; chosen {
			port = value
		} else if port == "" {
			port = "1024"
		}
		made.listen = "vsock:" + port
	}
	return made, checkAddress(made.listen)
}

func (s *settings) set(name, value string) (err error) {
	switch name {
	case "--listen":
		s.listen = value
		return checkAddress(value)
	case "--port":
		return checkAddress("vsock:" + value)
	case "--request-timeout":
		s.requestTimeout, err = seconds(value)
	case "--io-timeout":
		s.ioTimeout, err = seconds(value)
	case "--linger-timeout":
		s.lingerTimeout, err = seconds(value)
	case "--max-requests":
		s.maxRequests, err = strconv.Atoi(value)
		if err != nil || s.maxRequests < 1 || s.maxRequests > 1024 {
			return fmt.Errorf("not a number from 1 to 1024")
		}
	case "--allow-cid":
		if s.allowAll = s.allowAll || value == "any"; value == "any" {
			return nil
		}
		cid, wrong := strconv.ParseUint(value, 10, 32)
		s.allowed[uint32(cid)] = true
		err = wrong
	case "--ready-fd":
		s.readyFD, err = strconv.Atoi(value)
		if err == nil && !isOpen(s.readyFD) {
			return fmt.Errorf("no open descriptor")
		}
	case "--quiet":
		s.quiet = true
	}
	return err
}

func seconds(text string) (time.Duration, error) {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(value > 0 && value <= 1e9) {
		return 0, fmt.Errorf("not a number of seconds over 0")
	}
	return time.Duration(math.Ceil(value * float64(time.Second))), nil
}

func isOpen(descriptor int) bool {
	var found syscall.Stat_t
	return descriptor >= 0 && syscall.Fstat(descriptor, &found) == nil
}
