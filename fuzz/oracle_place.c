#define PY_SSIZE_T_CLEAN
#include <Python.h> /* before all others, as it demands */

#include "oracle_place.h"
#include "oracle_python.h"
#include "world/world.h"

/* The world's calls, under the names and with the arguments that bridge.py gives them. */

static PyObject *answer(int result)
{
    return result < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(result);
}

static PyObject *call_open(PyObject *self, PyObject *words)
{
    const char *path;
    int directory, flags, mode;

    (void)self;
    if (!PyArg_ParseTuple(words, "iyii", &directory, &path, &flags, &mode))
        return NULL;
    return answer(world_sys.open(directory, path, flags, (mode_t)mode));
}

static PyObject *call_close(PyObject *self, PyObject *words)
{
    int fd;

    (void)self;
    return PyArg_ParseTuple(words, "i", &fd) ? answer(world_sys.close(fd)) : NULL;
}

static PyObject *call_fchmod(PyObject *self, PyObject *words)
{
    int fd, mode;

    (void)self;
    return PyArg_ParseTuple(words, "ii", &fd, &mode) ? answer(world_sys.chmod(fd, (mode_t)mode)) : NULL;
}

static PyObject *call_rename(PyObject *self, PyObject *words)
{
    const char *from, *to;
    int directory;

    (void)self;
    if (!PyArg_ParseTuple(words, "iyy", &directory, &from, &to))
        return NULL;
    return answer(world_sys.rename(directory, from, to));
}

static PyObject *call_unlink(PyObject *self, PyObject *words)
{
    const char *name;
    int directory;

    (void)self;
    return PyArg_ParseTuple(words, "iy", &directory, &name) ? answer(world_sys.unlink(directory, name)) : NULL;
}

static PyObject *world_calls(void)
{
    static PyMethodDef calls[] = {
        {"open", call_open, METH_VARARGS, NULL},     {"close", call_close, METH_VARARGS, NULL},
        {"fchmod", call_fchmod, METH_VARARGS, NULL}, {"rename", call_rename, METH_VARARGS, NULL},
        {"unlink", call_unlink, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL},
    };
    static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "world", .m_size = -1, .m_methods = calls};

    return PyModule_Create(&module);
}

void oracle_put(const char *path, const char *name, mode_t mode, char code[ORACLE_CODE])
{
    static PyObject *put, *calls; /* of the one interpreter that a process can have */
    PyObject *told;
    const char *text;

    if (put == NULL) {
        put = oracle_function("put");
        calls = world_calls();
    }
    oracle_must(calls != NULL, "no module of calls");
    told = PyObject_CallFunction(put, "Oyyi", calls, path, name, (int)mode);
    oracle_must(told != NULL, "it raised what is no refusal");
    text = PyUnicode_AsUTF8(told);
    oracle_must(text != NULL && strlen(text) < ORACLE_CODE, "bridge.py returned something else");
    memcpy(code, text, strlen(text) + 1);
    Py_DECREF(told);
}
