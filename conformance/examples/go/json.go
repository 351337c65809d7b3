package main

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxControl = 1 << 20 // bytes of a control payload
	maxDepth   = 16
	maxValues  = 4096
	maxInteger = 1<<53 - 1
)

// A value is nil, bool, number, string, []value or *object: what the contract's JSON profile allows, nothing more.
type value any

// A number is its text, of any length. What it is worth depends on who asks.
type number string

type object struct{ members map[string]value }

// reader goes over a payload once, from left to right. The first offence decides; duplicates are reported after all others.
type reader struct {
	text      []byte
	at        int
	values    int
	twice     bool // two members of one object have the same name, `duplicate`
	duplicate string
}

// parse reads a control payload: one object. The error is malformed or too_large.
func parse(payload []byte) (*object, *refusal) {
	r := &reader{text: payload}
	r.space()
	if r.peek() != '{' {
		return nil, refuse("malformed", "a control frame holds one JSON object")
	}
	found, err := r.value(1)
	if err != nil {
		return nil, err
	}
	r.space()
	if r.at != len(r.text) {
		return nil, r.malformed("something after the object")
	}
	if r.twice {
		return nil, refuse("malformed", "a name occurs twice in one object: %.100q", r.duplicate)
	}
	return found.(*object), nil
}

func (r *reader) malformed(what string) *refusal {
	return refuse("malformed", "%s, at byte %d", what, r.at)
}

func (r *reader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0 // never part of the profile
}

func (r *reader) space() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

func (r *reader) value(depth int) (value, *refusal) {
	c := r.peek()
	container := c == '{' || c == '['
	starts := container || c == '"' || c == '-' || (c >= '0' && c <= '9') || c == 't' || c == 'f' || c == 'n'
	if !starts {
		return nil, r.malformed("a value is missing")
	}
	r.values++
	if r.values > maxValues || (container && depth > maxDepth) {
		return nil, refuse("too_large", "more than %d values or %d levels", maxValues, maxDepth)
	}
	switch c {
	case '{':
		return r.object(depth)
	case '[':
		return r.list(depth)
	case '"':
		return r.string()
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	case 'n':
		return nil, r.word("null")
	}
	return r.number()
}

func (r *reader) word(word string) *refusal {
	for i := 0; i < len(word); i++ {
		if r.peek() != word[i] {
			return r.malformed("no JSON value")
		}
		r.at++
	}
	return nil
}

func (r *reader) object(depth int) (value, *refusal) {
	made := &object{map[string]value{}}
	r.at++
	r.space()
	for first := true; r.peek() != '}'; first = false {
		if !first {
			if r.peek() != ',' {
				return nil, r.malformed("a comma or brace is missing")
			}
			r.at++
			r.space()
		}
		if r.peek() != '"' {
			return nil, r.malformed("a name is missing")
		}
		name, err := r.string()
		if err != nil {
			return nil, err
		}
		r.space()
		if r.peek() != ':' {
			return nil, r.malformed("a colon is missing")
		}
		r.at++
		r.space()
		member, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if _, there := made.members[name.(string)]; there && !r.twice {
			r.twice, r.duplicate = true, name.(string)
		}
		made.members[name.(string)] = member
		r.space()
	}
	r.at++
	return made, nil
}

func (r *reader) list(depth int) (value, *refusal) {
	made := []value{}
	r.at++
	r.space()
	for first := true; r.peek() != ']'; first = false {
		if !first {
			if r.peek() != ',' {
				return nil, r.malformed("a comma or bracket is missing")
			}
			r.at++
			r.space()
		}
		member, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		made = append(made, member)
		r.space()
	}
	r.at++
	return made, nil
}

func (r *reader) digits() bool {
	start := r.at
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		r.at++
	}
	return r.at > start
}

func (r *reader) number() (value, *refusal) {
	start := r.at
	if r.peek() == '-' {
		r.at++
	}
	if r.peek() == '0' {
		r.at++
	} else if !r.digits() {
		return nil, r.malformed("a digit is missing")
	}
	if r.peek() == '.' {
		r.at++
		if !r.digits() {
			return nil, r.malformed("a digit is missing")
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.at++
		if c := r.peek(); c == '+' || c == '-' {
			r.at++
		}
		if !r.digits() {
			return nil, r.malformed("a digit is missing")
		}
	}
	return number(r.text[start:r.at]), nil
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// string reads a string or a name, the quote being next.
func (r *reader) string() (value, *refusal) {
	var made []byte
	r.at++
	for {
		c := r.peek()
		switch {
		case c == '"':
			r.at++
			return string(made), nil
		case c < 0x20:
			return nil, r.malformed("a string with a raw control character, or without an end")
		case c == '\\':
			r.at++
			if plain, known := escapes[r.peek()]; known {
				made = append(made, plain)
				r.at++
				continue
			}
			decoded, err := r.escape()
			if err != nil {
				return nil, err
			}
			made = utf8.AppendRune(made, decoded)
		default:
			decoded, size := utf8.DecodeRune(r.text[r.at:])
			if decoded == utf8.RuneError && size == 1 {
				return nil, r.malformed("not UTF-8")
			}
			made = append(made, r.text[r.at:r.at+size]...)
			r.at += size
		}
	}
}

// escape reads \uXXXX, a pair of them for what is beyond U+FFFF, the first u being next.
func (r *reader) escape() (rune, *refusal) {
	first, err := r.unit()
	if err != nil {
		return 0, err
	}
	if first == 0 || (first >= 0xDC00 && first <= 0xDFFF) {
		return 0, r.malformed("U+0000 or half a surrogate pair")
	}
	if first < 0xD800 || first > 0xDBFF {
		return first, nil
	}
	if r.peek() != '\\' {
		return 0, r.malformed("half a surrogate pair")
	}
	r.at++
	second, err := r.unit()
	if err != nil {
		return 0, err
	}
	if second < 0xDC00 || second > 0xDFFF {
		return 0, r.malformed("half a surrogate pair")
	}
	return 0x10000 + (first-0xD800)<<10 + (second - 0xDC00), nil
}

func (r *reader) unit() (rune, *refusal) {
	if r.peek() != 'u' || len(r.text)-r.at < 5 {
		return 0, r.malformed("no escape of JSON")
	}
	var made rune
	for _, c := range r.text[r.at+1 : r.at+5] {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if digit < 0 || c < '0' {
			return 0, r.malformed("no escape of JSON")
		}
		made = made<<4 + rune(digit)
	}
	r.at += 5
	return made, nil
}

// integer is what the contract takes for one: no fraction, no exponent, within 2^53-1 either way.
func integer(v value) (int64, bool) {
	text, is := v.(number)
	if !is || strings.ContainsAny(string(text), ".eE") {
		return 0, false
	}
	made, err := strconv.ParseInt(string(text), 10, 64)
	return made, err == nil && made <= maxInteger && made >= -maxInteger
}

// quote writes a string as JSON.
func quote(text string) string {
	made := []byte{'"'}
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			made = append(made, '\\', byte(c))
		case c < 0x20:
			made = append(made, []byte(`\u00`+string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15]))...)
		default:
			made = utf8.AppendRune(made, c)
		}
	}
	return string(append(made, '"'))
}
