#define PY_SSIZE_T_CLEAN
#include <Python.h> /* before all others, as it demands */

#include "fuzz.h"
#include "oracle.h"
#include "oracle_python.h"

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

static void start(void)
{
    PyConfig config;

    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    config.write_bytecode = 0;
    config.install_signal_handlers = 0;
    oracle_must(!PyStatus_Exception(PyConfig_SetBytesString(&config, &config.program_name, FUZZ_PYTHON)),
                "no configuration");
    oracle_must(!PyStatus_Exception(Py_InitializeFromConfig(&config)), "Python does not start");
    PyConfig_Clear(&config);
    oracle_must(PyRun_SimpleString("import sys; sys.path.append('" FUZZ_FOLDER "')") == 0, "no path to bridge.py");
}

PyObject *oracle_function(const char *name)
{
    PyObject *bridge, *function;

    if (!Py_IsInitialized())
        start();
    bridge = PyImport_ImportModule("bridge");
    oracle_must(bridge != NULL, "bridge.py cannot be imported");
    function = PyObject_GetAttrString(bridge, name);
    oracle_must(function != NULL, "bridge.py lacks a function");
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
        judge = oracle_function("judge");
    bytes = PyBytes_FromStringAndSize(payload, (Py_ssize_t)length);
    oracle_must(bytes != NULL, "no memory for a payload");
    answer.held = PyObject_CallOneArg(judge, bytes);
    Py_DECREF(bytes);
    oracle_must(answer.held != NULL, "it raised what is no refusal");
    oracle_must(PyArg_ParseTuple(answer.held, "sspiKdy#", &answer.code, &answer.op, &drain, &answer.mode, &answer.size,
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
