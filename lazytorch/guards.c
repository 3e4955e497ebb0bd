/* What compiled functions read besides tensors: a part of records.c, after which it is compiled. */

/* ---- what a compiled function reads ----------------------------------------------------------- */

/* What a container is looked through as; Guards._packed says which. */
enum { DICT, LIST, OTHER };

/* Whether a container holds these very objects, in this order; -1 where it raised. */
static int holds(long kind, object *container, object *const *items, ssize count)
{
    ssize i = 0, place = 0;
    if (kind == DICT) {
        object *key, *value;
        while (PyDict_Next(container, &place, &key, &value)) {
            if (i + 2 > count || key != items[i] || value != items[i + 1])
                return 0;
            i += 2;
        }
        return i == count;
    }
    ssize size = PyObject_Size(container);
    if (size != count || !count)
        return size < 0 ? -1 : size == count;
    if (kind == OTHER) {
        object *list = PySequence_List(container);
        int same = list ? holds(LIST, list, items, count) : -1;
        if (list)
            Py_DecRef(list);
        return same;
    }
    while (i < count && PyList_GetItem(container, i) == items[i])
        i++;
    return i == count;
}

/* unchanged(packed): Guards.hold, where all objects are the same ones; else False. They are packed
   in one piece, because between two steps nothing of them stays in a cache: the names, the cells and
   the tensors, each with what it is to be, and the containers with their items. */
static object *unchanged(object *self, object *const *arguments, ssize argument_count)
{
    object *const *at = (object *const *)PyBytes_AsString(arguments[0]);
    const long *counts = (const long *)at;
    int same = 1;
    at += 4;
    for (long i = counts[0]; same == 1 && i--; at += 3) {
        object *value = PyDict_GetItemWithError(at[0], at[1]);
        same = (value ? value : the_None) == at[2];
    }
    for (long i = counts[1]; same == 1 && i--; at += 2) {
        object *value = PyCell_Get(at[0]);
        same = value == at[1];
        if (value)
            Py_DecRef(value);
    }
    for (long i = counts[2]; same == 1 && i--; at += 3)
        same = attribute_is(at[0], the_name_storage, at[1]) &&
               attribute_is(at[0], the_name_geometry, at[2]);
    for (long i = counts[3]; same == 1 && i--; at += 3 + (long)at[2])
        same = holds((long)at[1], at[0], at + 3, (long)at[2]);
    return new_reference(boolean(same == 1));
}
