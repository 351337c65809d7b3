/* The members of a request's object, each as cJSON read it and as it was written. Private to the request files. */
#ifndef WIRE_REQUEST_FIELD_H
#define WIRE_REQUEST_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include <cJSON.h>

#include "json_strict.h"
#include "request.h"

/* `item` is NULL where there is no such member. */
struct field {
    const cJSON *item;
    struct json_slice raw;
};

/* A walk over an object's members, in step in both forms. */
struct field_walk {
    const cJSON *next;
    struct json_members members;
};

struct field_walk field_walk_of(struct field object);
/* Return: the next member; one without item after the last. */
struct field field_walk_next(struct field_walk *walk);

/* Return: the member of that name, byte for byte (JSON-CASE). */
struct field field_find(struct field object, const char *name);

/* Return: true where the member is absent or null. */
bool field_is_none(struct field field);
/* Return: the string; NULL where the member is not one. */
const char *field_string(struct field field);
/* JSON-INT. Return: true with *number set where the member is an integer. */
bool field_integer(struct field field, int64_t *number);

/* RUN-ENV: set request->env from the member `env`. Return: false with request->error set where it is not as it should
 * be. */
bool request_read_env(struct request *request, struct field env);

#endif
