#define PY_SSIZE_T_CLEAN
#include <Python.h> /* before all others, as it demands */

#include "fuzz.h"
#include "oracle.h"

/* Where bridge.py stands, and which Python's library is the right one. The Makefile knows better. */
#ifndef FUZZ_FOLDER
#define FUZZ_FOLDER "fuzz"
#endif
#ifndef FUZZ_PYTHON
#define FUZZ_PYTHON "/usr/bin/python3"
#endif

const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

/* What CPython allocates is not ours to judge: it keeps some of it in memory of its own, where no pointer is looked
 * for. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libpython3\n";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    PyErr_Print();
    fprintf(stderr, "the oracle: %s\n", what);
    abort();
}

static PyObject *start(void)
{
    PyObject *bridge, *function;
    PyConfig config;

    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.write_bytecode = 0;
    config.install_signal_handlers = 0;
    must(!PyStatus_Exception(PyConfig_SetBytesString(&config, &config.program_name, FUZZ_PYTHON)), "no configuration");
    must(!PyStatus_Exception(Py_InitializeFromConfig(&config)), "Python does not start");
    PyConfig_Clear(&config);
    must(PyRun_SimpleString("import sys; sys.path.append('" FUZZ_FOLDER "')") == 0, "no path to bridge.py");
    bridge = PyImport_ImportModule("bridge");
    must(bridge != NULL, "bridge.py cannot be imported");
    function = PyObject_GetAttrString(bridge, "judge");
    must(function != NULL, "bridge.py has no judge()");
    Py_DECREF(bridge);
    return function;
}

struct oracle_answer oracle_judge(const void *payload, size_t length)
{
    static PyObject *judge; /* of the one interpreter that a process can have */
    struct oracle_answer answer = {.code = NULL};
    PyObject *bytes;
    Py_ssize_t texts;
    int drain;

    if (judge == NULL)
        judge = start();
    bytes = PyBytes_FromStringAndSize(payload, (Py_ssize_t)length);
    must(bytes != NULL, "no memory for a payload");
    answer.held = PyObject_CallOneArg(judge, bytes);
    Py_DECREF(bytes);
    must(answer.held != NULL, "it raised what is no refusal");
    must(PyArg_ParseTuple(answer.held, "sspiKdy#", &answer.code, &answer.op, &drain, &answer.mode, &answer.size,
                          &answer.timeout, &answer.texts, &texts),
         "bridge.py returned something else");
    answer.drain = drain != 0;
    answer.length = (size_t)texts;
    return answer;
}

void oracle_forget(struct oracle_answer *answer)
{
    Py_CLEAR(answer->held);
}
