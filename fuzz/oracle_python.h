/* Between oracle.c and oracle_place.c; to be included behind Python.h. */
#ifndef FUZZ_ORACLE_PYTHON_H
#define FUZZ_ORACLE_PYTHON_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Print what Python raised, and die, unless it is good. */
static inline void oracle_must(bool good, const char *what)
{
    if (good)
        return;
    PyErr_Print();
    fprintf(stderr, "the oracle: %s\n", what);
    abort();
}

/* Return: that function of bridge.py, the caller's to give back. The first call starts the interpreter. */
PyObject *oracle_function(const char *name);

#endif
