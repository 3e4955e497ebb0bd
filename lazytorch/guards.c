/* What compiled functions read besides tensors: a part of records.c, after which it is compiled. */

/* ---- what a compiled function reads ----------------------------------------------------------- */

enum { IS_DICT = 1 << 29 }; /* of a type's flags: of dict or of a class made of it */

/* Whether a container holds these very objects, in this order; -1 where it raised. */
static int holds(object *container, object *items)
{
    ssize count = PyList_Size(items), i = 0, place = 0;
    if (PyType_GetFlags(TYPE(container)) & IS_DICT) {
        object *key, *value;
        while (PyDict_Next(container, &place, &key, &value)) {
            if (i + 2 > count || key != PyList_GetItem(items, i) ||
                value != PyList_GetItem(items, i + 1))
                return 0;
            i += 2;
        }
        return i == count;
    }
    ssize size = PyObject_Size(container);
    if (size != count || !count)
        return size < 0 ? -1 : size == count;
    if (TYPE(container) != the_list_type) {
        object *list = PySequence_List(container);
        int same = list ? holds(list, items) : -1;
        if (list)
            Py_DecRef(list);
        return same;
    }
    while (i < count && PyList_GetItem(container, i) == PyList_GetItem(items, i))
        i++;
    return i == count;
}

/* unchanged(names, cells, containers, tensors): Guards.hold, where all objects are the same ones. */
static object *unchanged(object *self, object *const *arguments, ssize argument_count)
{
    object *names = arguments[0], *cells = arguments[1], *containers = arguments[2];
    object *tensors = arguments[3];
    int same = 1;
    ssize count = PyList_Size(names);
    for (ssize i = 0; same == 1 && i < count; i++) {
        object *each = PyList_GetItem(names, i), *scope = PyTuple_GetItem(each, 0);
        object *value = PyDict_GetItemWithError(scope, PyTuple_GetItem(each, 1));
        same = value == PyTuple_GetItem(each, 2);
    }
    count = PyList_Size(cells);
    for (ssize i = 0; same == 1 && i < count; i++) {
        object *each = PyList_GetItem(cells, i), *value = PyCell_Get(PyTuple_GetItem(each, 0));
        same = value == PyTuple_GetItem(each, 1);
        if (value)
            Py_DecRef(value);
    }
    count = PyList_Size(containers);
    for (ssize i = 0; same == 1 && i < count; i++) {
        object *each = PyList_GetItem(containers, i);
        same = holds(PyTuple_GetItem(each, 0), PyTuple_GetItem(each, 1));
    }
    count = PyList_Size(tensors);
    for (ssize i = 0; same == 1 && i < count; i++) {
        object *each = PyList_GetItem(tensors, i), *tensor = PyTuple_GetItem(each, 0);
        same = attribute_is(tensor, the_name_storage, PyTuple_GetItem(each, 1)) &&
               attribute_is(tensor, the_name_geometry, PyTuple_GetItem(each, 2));
    }
    return same < 0 ? 0 : new_reference(boolean(same));
}
