package main

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// dispatch judges version, operation and fields, in this order, and serves the request.
func (c *conversation) dispatch(o *object) {
	if v := o.members["v"]; v != nil {
		if number, is := integer(v); !is || number != 1 {
			c.end(refusing(refuse("unsupported_version", "this agent speaks version 1")))
			return
		}
	}
	op, _ := o.members["op"].(string)
	switch op {
	case "ping":
		c.end(control(`{"ok":true,"op":"pong","agent_version":%s,"proto":1,"instance":%s}`, quote(version), quote(c.instance)))
	case "run":
		if r, bad := readRun(o); bad != nil {
			c.end(refusing(bad))
		} else {
			c.inSlot(op, func(gone <-chan struct{}) *final { return c.run(r, gone) })
		}
	case "put_file":
		r, bad := readPut(o)
		if r == nil {
			c.end(refusing(bad)) // without a size nobody knows how much there is to drain
			return
		}
		c.inSlot(op, func(<-chan struct{}) *final { return c.putFile(r, bad) })
	case "get_file":
		if place, bad := readPath(o); bad != nil {
			c.end(refusing(bad))
		} else {
			c.inSlot(op, func(gone <-chan struct{}) *final { return c.getFile(place, gone) })
		}
	default:
		c.end(refusing(refuse("unknown_op", "unknown op: ping, run, put_file and get_file are known")))
	}
}

// inSlot serves when a slot is free; a host that hangs up before that is forgotten. Lingering needs no slot.
func (c *conversation) inSlot(op string, serve func(gone <-chan struct{}) *final) {
	gone, stop := c.watch()
	select {
	case c.slots <- struct{}{}:
	case <-gone:
		stop()
		return
	}
	var last *final
	if !c.hungUp() {
		c.log("%s begins", op)
		last = serve(gone)
		c.log("%s ends", op)
	}
	stop()
	<-c.slots
	c.end(last)
}

// ---- fields

type runRequest struct {
	cmd, shell  string
	timeout     float64 // seconds, 0: none
	timeoutText string  // as the request has it
	env         []string
}

func readRun(o *object) (*runRequest, *refusal) {
	made := &runRequest{shell: "login"}
	cmd, is := o.members["cmd"].(string)
	if !is || cmd == "" {
		return nil, refuse("invalid_argument", "cmd has to be a string that is not empty")
	}
	made.cmd = cmd
	if shell := o.members["shell"]; shell != nil {
		if made.shell, is = shell.(string); !is || (made.shell != "login" && made.shell != "raw") {
			return nil, refuse("invalid_argument", `shell is "login" or "raw"`)
		}
	}
	if given := o.members["timeout"]; given != nil {
		text, is := given.(number)
		made.timeoutText = string(text)
		made.timeout, _ = strconv.ParseFloat(string(text), 64)
		if !is || made.timeout < 0 || math.IsInf(made.timeout, 0) {
			return nil, refuse("invalid_argument", "timeout is a finite number of seconds, not below 0")
		}
	}
	env, bad := readEnv(o.members["env"])
	made.env = env
	return made, bad
}

// readEnv is the agent's environment with the request's members, which win.
func readEnv(given value) ([]string, *refusal) {
	if given == nil {
		return os.Environ(), nil
	}
	o, is := given.(*object)
	if !is {
		return nil, refuse("invalid_argument", "env is an object")
	}
	var made []string
	for name, member := range o.members {
		text, is := member.(string)
		if !is {
			var number int64
			number, is = integer(member)
			text = strconv.FormatInt(number, 10)
		}
		if !is || name == "" || strings.Contains(name, "=") {
			return nil, refuse("invalid_argument", "env holds strings and integers, under names that are not empty and hold no =")
		}
		made = append(made, name+"="+text)
	}
	for _, own := range os.Environ() {
		name, _, _ := strings.Cut(own, "=")
		if _, replaced := o.members[name]; !replaced {
			made = append(made, own)
		}
	}
	return made, nil
}

type putRequest struct {
	path, name string
	mode       uint32
	size       int64
}

// readPut returns no request where the size is bad, and the first field that is wrong.
func readPut(o *object) (*putRequest, *refusal) {
	made := &putRequest{mode: 0o600}
	place, bad := readPath(o)
	made.path = place
	if name := o.members["name"]; name != nil {
		var is bool
		if made.name, is = name.(string); !is && bad == nil {
			bad = refuse("invalid_argument", "name is a string")
		}
	}
	if mode := o.members["mode"]; mode != nil {
		number, is := integer(mode)
		if (!is || number < 0 || number > 0o7777) && bad == nil {
			bad = refuse("invalid_argument", "mode is an integer from 0 to 4095")
		}
		made.mode = uint32(number)
	}
	if size, there := o.members["size"]; there {
		var is bool
		if made.size, is = integer(size); !is || made.size < 0 {
			if bad == nil {
				bad = refuse("invalid_argument", "size is an integer from 0 on")
			}
			return nil, bad
		}
	}
	return made, bad
}

// readPath is the request's path, absolute.
func readPath(o *object) (string, *refusal) {
	text, is := o.members["path"].(string)
	if !is || text == "" {
		return "", refuse("invalid_argument", "path has to be a string that is not empty")
	}
	if text[0] == '/' {
		return text, nil
	}
	here, err := os.Getwd()
	if err != nil {
		return "", failed("the working directory", err)
	}
	return here + "/" + text, nil
}
