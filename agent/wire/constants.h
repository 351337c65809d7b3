/* Made by conformance/spec/generate.py from constants.toml beside it: change that, then `make constants`. */
#ifndef WIRE_CONSTANTS_H
#define WIRE_CONSTANTS_H

#define PROTOCOL_VERSION 1
#define PROTOCOL_VSOCK_PORT 1024
#define PROTOCOL_HOST_CID 2

#define FRAME_JSON 1
#define FRAME_STDOUT 2
#define FRAME_STDERR 3
#define FRAME_DATA 4
#define FRAME_EOF 5

#define LIMIT_FRAME_HEADER 5
#define LIMIT_FRAME_PAYLOAD 16777216
#define LIMIT_CHUNK 65536
#define LIMIT_CONTROL_PAYLOAD 1048576
#define LIMIT_JSON_DEPTH 16
#define LIMIT_JSON_VALUES 4096
#define LIMIT_JSON_INTEGER 9007199254740991
#define LIMIT_ERROR_TEXT 1024
#define LIMIT_WORK_SLOTS 64
#define LIMIT_CONNECTIONS 1024
#define LIMIT_INCOMPLETE_BYTES 8388608
#define LIMIT_FILE_MODE 07777
#define LIMIT_FILE_MODE_DEFAULT 0600

#define SECONDS_REQUEST_TIMEOUT 10
#define SECONDS_IO_TIMEOUT 60
#define SECONDS_LINGER_TIMEOUT 5
#define SECONDS_PING 1
#define SECONDS_KILL 1
#define SECONDS_STOP 2

#define PUT_PREFIX ".smolvm-put-"

/* X(NAME, text) */
#define WIRE_OPERATIONS(X) X(PING, "ping") X(RUN, "run") X(PUT_FILE, "put_file") X(GET_FILE, "get_file")

/* X(NAME, text) */
#define WIRE_CODES(X) X(MALFORMED, "malformed") X(TOO_LARGE, "too_large") X(UNSUPPORTED_VERSION, "unsupported_version") X(UNKNOWN_OP, "unknown_op") X(INVALID_ARGUMENT, "invalid_argument") X(SPAWN_FAILED, "spawn_failed") X(NOT_FOUND, "not_found") X(PERMISSION_DENIED, "permission_denied") X(IS_DIRECTORY, "is_directory") X(NOT_REGULAR_FILE, "not_regular_file") X(NO_SPACE, "no_space") X(SIZE_MISMATCH, "size_mismatch") X(UNEXPECTED_FRAME, "unexpected_frame") X(IO_ERROR, "io_error") X(INTERNAL, "internal")

#endif
