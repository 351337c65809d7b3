package main

import (
	"crypto/rand"
	"encoding/hex"
	"path"
	"syscall"
)

// temporary is a file that is on its way to its place, or to be removed. Everything goes through the directory's descriptor, so
// that a path that is swapped meanwhile redirects nothing.
type temporary struct {
	agent      *agent
	directory  int
	descriptor int
	name       string // it has in the directory now
	target     string // it is to have there
}

// create finds the directory, by path and name, and makes the file in it.
func (a *agent) create(r *putRequest) (*temporary, *refusal) {
	place := path.Clean(r.path)
	directory, target := path.Split(place)
	var found syscall.Stat_t
	err := syscall.Stat(place, &found)
	if err != nil && err != syscall.ENOENT && err != syscall.ENOTDIR && err != syscall.ELOOP {
		return nil, failed(place, err)
	}
	if err == nil && found.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		_, base := path.Split(r.name)
		if base == "" || base == "." || base == ".." {
			return nil, refuse("is_directory", "%s is a directory, and name gives no name in it", place)
		}
		directory, target = place, base
	}
	made := &temporary{agent: a, descriptor: -1, target: target}
	made.directory, err = syscall.Open(directory, oPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, failed(directory, err)
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for made.descriptor < 0 {
		random := make([]byte, 8)
		rand.Read(random)
		made.name = ".smolvm-put-" + hex.EncodeToString(random)
		made.descriptor, err = syscall.Openat(made.directory, made.name,
			syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o600)
		if err != nil && err != syscall.EEXIST && err != syscall.EINTR {
			syscall.Close(made.directory)
			return nil, failed("a new file in "+directory, err)
		}
	}
	a.temporaries[made] = true
	return made, nil
}

func (t *temporary) write(data []byte) *refusal {
	for len(data) > 0 {
		n, err := syscall.Write(t.descriptor, data)
		if err != nil && err != syscall.EINTR {
			return failed("writing", err)
		}
		data = data[max(n, 0):]
	}
	return nil
}

// finish puts the file in its place, or removes it.
func (t *temporary) finish(mode uint32) *refusal {
	err := syscall.Fchmod(t.descriptor, mode) // after the last write, which takes setuid away
	closed := syscall.Close(t.descriptor)
	t.descriptor = -1
	if err == nil {
		err = closed
	}
	if err == nil {
		t.agent.mutex.Lock()
		if err = syscall.Renameat(t.directory, t.name, t.directory, t.target); err == nil {
			delete(t.agent.temporaries, t)
		}
		t.agent.mutex.Unlock()
	}
	if err != nil {
		t.remove()
		return failed("putting the file in its place", err)
	}
	syscall.Close(t.directory)
	return nil
}

func (t *temporary) remove() {
	t.agent.mutex.Lock()
	syscall.Unlinkat(t.directory, t.name)
	delete(t.agent.temporaries, t)
	t.agent.mutex.Unlock()
	if t.descriptor >= 0 {
		syscall.Close(t.descriptor)
	}
	syscall.Close(t.directory)
}

// putFile serves an upload. One that cannot succeed is read to its end all the same; `bad` is the first thing that is wrong.
func (c *conversation) putFile(r *putRequest, bad *refusal) *final {
	var file *temporary
	if bad == nil {
		file, bad = c.create(r)
	}
	end, err := c.receiveUpload(r.size, func(data []byte) {
		if bad == nil {
			if bad = file.write(data); bad != nil {
				file.remove() // room for others while the rest is read
				file = nil
			}
		}
	})
	if bad == nil {
		bad = end
	}
	if file != nil && (bad != nil || err != nil) {
		file.remove()
	}
	if err != nil {
		return nil
	}
	if bad == nil {
		bad = file.finish(r.mode)
	}
	if bad != nil {
		return refusing(bad)
	}
	return control(`{"ok":true}`)
}

// receiveUpload reads frames until `size` bytes are there or it ends otherwise: with a refusal where a whole frame says that it
// is no upload, with an error where the stream is broken or stalls.
func (c *conversation) receiveUpload(size int64, take func([]byte)) (*refusal, error) {
	for size > 0 {
		c.patience()
		kind, length, err := c.header()
		if err != nil {
			return nil, err
		}
		if kind == frameData && int64(length) <= size {
			if err := c.receive(length, take); err != nil {
				return nil, err
			}
			size -= int64(length)
			continue
		}
		if err := c.discard(length); err != nil {
			return nil, err
		}
		switch kind {
		case frameEOF:
			return refuse("size_mismatch", "the upload ended %d bytes before its size", size), nil
		case frameData:
			return refuse("size_mismatch", "the upload holds more bytes than its size"), nil
		}
		return refuse("unexpected_frame", "a frame of type %d in an upload", kind), nil
	}
	return nil, nil
}
