/* Writing, and what is computed at the end of a step: a part of records.c, after which it is
   compiled. */

/* ---- writing ---------------------------------------------------------------------------------- */

/* What the pending writes of a storage replace, once this value is written where ``before`` was. */
static object *kept(object *value, object *before, object *known, object *reference)
{
    if (PyLong_AsLong(SLOT(value, Expression_depth)) <= 1)
        return new_reference(the_empty); /* a copy, or a formula of the old value */
    object *first = 0, *made;
    if (known && SLOT(before, Expression_value) == the_None &&
        PyTuple_GetItem(known, 0) == reference && PyTuple_Size(PyTuple_GetItem(known, 1)))
        first = PyTuple_GetItem(PyTuple_GetItem(known, 1), 0);
    made = PyTuple_New(first ? 2 : 1);
    if (first)
        PyTuple_SetItem(made, 0, new_reference(first));
    PyTuple_SetItem(made, first ? 1 : 0, new_reference(before));
    return made;
}

/* Storage.write, which nobody watches, of a pending value that is not tracked. */
static void write_value(object *storage, object *value)
{
    object *before = SLOT(storage, Storage_expression), *reference = PyWeakref_NewRef(storage, 0);
    object *mark = PyType_GenericAlloc(the_Overwritten, 0), *pending = PyTuple_New(2);
    object *key = PyLong_FromVoidPtr(storage);
    object *known = PyDict_GetItemWithError(the_pending_writes, key);
    PyTuple_SetItem(pending, 0, new_reference(reference));
    PyTuple_SetItem(pending, 1, kept(value, before, known, reference));
    if (known)
        PyDict_DelItem(the_pending_writes, key); /* they are in the order of the writes */
    PyDict_SetItem(the_pending_writes, key, pending);
    Py_DecRef(pending);
    Py_DecRef(key);
    if (SLOT(before, Expression_leaf) != the_None) {
        PUT(value, Expression_leaf, new_reference(SLOT(before, Expression_leaf)));
        PUT(value, Expression_tracked, new_reference(the_True));
    }
    FILL(mark, Overwritten_storage, reference);
    FILL(mark, Overwritten_version, SLOT(storage, Storage_version));
    FILL(mark, Overwritten_silent, the_False);
    SLOT(mark, Overwritten_by) = PyWeakref_NewRef(value, 0);
    PUT(before, Expression_owner, mark);
    PUT(storage, Storage_version, PyLong_FromLong(PyLong_AsLong(SLOT(storage, Storage_version)) + 1));
    PUT(value, Expression_owner, reference);
    PUT(storage, Storage_expression, new_reference(value));
}

/* The storage of a tensor into which what is written without recording just becomes its value, as
   Tensor._is_plain says; borrowed. */
static object *plain_target(object *x)
{
    if ((TYPE(x) != the_Tensor && TYPE(x) != the_Parameter) ||
        !attribute_is(x, the_name_silent, the_False))
        return 0;
    object *storage = plain_storage(x);
    if (!storage)
        return 0;
    object *before = SLOT(storage, Storage_expression);
    int usual = SLOT(before, Expression_leaf) != the_None ||
                SLOT(before, Expression_tracked) == the_False;
    return usual ? storage : 0;
}

/* write_over(function, inputs, attributes, targets): record a call that is not tracked and write
   its outputs into tensors; True, or None where an input or a target is not plain, or of another
   type than its output, and nothing is done. */
static object *write_over(object *self, object *const *arguments, ssize argument_count)
{
    struct inputs inputs;
    object *targets = arguments[3], *storages[MOST], *outputs[MOST];
    long count = TYPE(targets) == the_list_type ? PyList_Size(targets) : MOST + 1;
    if (count > MOST)
        return none();
    int are_plain = read_inputs(arguments[1], &inputs);
    int usual = are_plain == 1;
    struct making making = {0, 0, inputs.depth + 1, 0, inputs.has_gradient};
    if (usual)
        making.signature =
            known_signature(arguments[0], inputs.expressions, inputs.count, arguments[2]);
    object *types = making.signature ? SLOT(making.signature, Signature_output_types) : the_empty;
    usual = making.signature && PyTuple_Size(types) == count && !is_long(&making);
    for (long i = 0; usual && i < count; i++) {
        storages[i] = plain_target(PyList_GetItem(targets, i));
        usual = storages[i] && SLOT(SLOT(storages[i], Storage_expression), Expression_type) ==
                                   PyTuple_GetItem(types, i);
    }
    if (!usual) {
        release(&inputs);
        return are_plain < 0 ? 0 : none();
    }
    making.expressions = PyTuple_New(inputs.count);
    for (long i = 0; i < inputs.count; i++)
        PyTuple_SetItem(making.expressions, i, inputs.expressions[i]);
    make_outputs(&making, outputs, count);
    for (long i = 0; i < count; i++) {
        write_value(storages[i], outputs[i]);
        Py_DecRef(outputs[i]);
    }
    return new_reference(the_True);
}

/* ---- what is pending -------------------------------------------------------------------------- */

/* Whether a pending value is made of Python numbers alone: storage.is_constant. */
static int is_constant(object *e)
{
    object *call = SLOT(e, Expression_call);
    if (call == the_None)
        return 0;
    object *inputs = SLOT(call, Call_inputs);
    for (long i = PyTuple_Size(inputs); i--;)
        if (SLOT(SLOT(PyTuple_GetItem(inputs, i), Expression_type), TensorType_weak) != the_True)
            return 0;
    return 1;
}

/* pending(roots): realize.pending_with, where all of it is on the cpu. */
static object *pending(object *self, object *const *arguments, ssize argument_count)
{
    object *roots = arguments[0];
    int is_list = TYPE(roots) == the_list_type;
    if (!is_list && TYPE(roots) != the_tuple_type)
        return none();
    object *found = PyList_New(0), *writes = PyDict_Values(the_pending_writes);
    long given = is_list ? PyList_Size(roots) : PyTuple_Size(roots), written = PyList_Size(writes);
    int usual = 1;
    for (long i = 0; i < given + written && usual; i++) {
        object *e, *storage;
        if (i < given)
            e = is_list ? PyList_GetItem(roots, i) : PyTuple_GetItem(roots, i);
        else if ((storage = referred(PyTuple_GetItem(PyList_GetItem(writes, i - given), 0))))
            e = SLOT(storage, Storage_expression);
        else
            continue;
        if (SLOT(e, Expression_value) != the_None || (i >= given && is_constant(e)))
            continue;
        PyList_Append(found, e);
        usual = SLOT(e, Expression_device) == the_cpu;
    }
    Py_DecRef(writes);
    if (usual)
        return found;
    Py_DecRef(found);
    return none();
}

/* held(): the values of storage.held_storages. */
static object *held(object *self, object *const *arguments, ssize argument_count)
{
    long before = PyList_Size(the_held), count = before + PyList_Size(the_born);
    object *found = PyList_New(0), *still = PyList_New(0);
    for (long i = 0; i < count; i++) {
        object *reference =
            i < before ? PyList_GetItem(the_held, i) : PyList_GetItem(the_born, i - before);
        object *storage = referred(reference);
        object *e = storage ? SLOT(storage, Storage_expression) : 0;
        if (e && SLOT(e, Expression_value) == the_None) {
            PyList_Append(still, reference);
            PyList_Append(found, e);
        }
    }
    PyList_SetSlice(the_born, 0, count - before, 0);
    PyList_SetSlice(the_held, 0, before, still);
    Py_DecRef(still);
    return found;
}

/* ---- what is held and would be computed again ------------------------------------------------- */

static struct set set_of(object *list)
{
    long count = PyList_Size(list);
    struct set set = new_set(count);
    for (long i = 0; set.table && i < count; i++) {
        object *item = PyList_GetItem(list, i);
        *place_of(set, item) = item;
    }
    return set;
}

enum { MOST_LOOKED_AT = 500 }; /* as in trace.py */

/* trace.loses */
static int loses(object *e, struct set values, struct set kept, int has_gradient)
{
    object *stack[MOST_LOOKED_AT + 1], *call = SLOT(e, Expression_call);
    if (*place_of(values, e) ||
        (call != the_None && SLOT(call, Call_has_gradient) == the_True && !has_gradient))
        return 0;
    struct set seen = new_set(MOST_LOOKED_AT + 1);
    long waiting = 1, looked_at = 1;
    int found = 0, gave_up = !seen.table;
    if (!gave_up)
        *place_of(seen, e) = stack[0] = e;
    while (waiting && !gave_up) {
        call = SLOT(stack[--waiting], Expression_call);
        if (call == the_None ||
            SLOT(SLOT(call, Call_signature), Signature_function) == the_PLACEHOLDER) {
            gave_up = 1; /* left over from a vmap: nobody can compute it */
            break;
        }
        object *inputs = SLOT(call, Call_inputs);
        long count = PyTuple_Size(inputs);
        for (long i = 0; i < count && !gave_up; i++) {
            object *x = PyTuple_GetItem(inputs, i), **place = place_of(seen, x);
            if (SLOT(x, Expression_value) != the_None || *place)
                continue;
            if (!*place_of(values, x)) {
                *place = stack[waiting++] = x;
                gave_up = ++looked_at > MOST_LOOKED_AT;
            } else if (!*place_of(kept, x))
                found = 1;
        }
    }
    free(seen.table);
    return found && !gave_up;
}

/* Whether trace.loses is true of any that is held. */
static int is_any_lost(object *held, object *made, object *wanted, int has_gradient)
{
    struct set values = set_of(made), kept = set_of(wanted);
    long count = PyList_Size(held);
    int found = !values.table || !kept.table;
    for (long i = 0; i < count && !found; i++)
        found = loses(PyList_GetItem(held, i), values, kept, has_gradient);
    free(values.table);
    free(kept.table);
    return found;
}

/* loses_any(held, values, wanted, has_gradient) */
static object *loses_any(object *self, object *const *arguments, ssize argument_count)
{
    return new_reference(boolean(
        is_any_lost(arguments[0], arguments[1], arguments[2], arguments[3] == the_True)));
}

/* ---- what was computed ------------------------------------------------------------------------ */

enum answer { NO, YES, UNKNOWN };

/* Whether no gradient will come back to these calls, but that of one backward, which is computed
   with them: of realize._free_leaves. */
static enum answer are_done_with(object *tracked, object *calls)
{
    object *readers = 0;
    for (long i = 0, count = PyList_Size(tracked); i < count; i++) {
        object *call = PyList_GetItem(tracked, i);
        if (SLOT(call, Call_freed) != the_True)
            return NO;
        if (SLOT(call, Call_readers) == readers)
            continue; /* many calls share them */
        readers = SLOT(call, Call_readers);
        if (TYPE(readers) != the_list_type || PyList_Size(readers) != 1)
            return UNKNOWN;
        object *reader = referred(PyList_GetItem(readers, 0));
        long k = PyList_Size(calls);
        while (k-- && PyList_GetItem(calls, k) != reader)
            ;
        if (k < 0)
            return UNKNOWN;
    }
    return YES;
}

/* The numbers of the leaves that an output may overwrite, as a list: realize._free_leaves, once
   ``are_done_with`` says so. ``uses`` are pairs of a leaf's number and how often calls refer to it;
   ``in_trace`` is how often the trace does. */
static object *leaves_to_overwrite(object *leaves, struct numbers uses, long in_trace)
{
    object *found = PyList_New(0);
    for (long i = 0; i < uses.count; i += 2) {
        object *e = PyList_GetItem(leaves, uses.at[i]), *owner = SLOT(e, Expression_owner);
        object *value = SLOT(e, Expression_value);
        if (TYPE(owner) != the_Overwritten || SLOT(e, Expression_hooks) != the_None)
            continue;
        unsigned int known = uses.at[i + 1] + in_trace;
        object *storage = referred(SLOT(owner, Overwritten_storage));
        object *key = PyLong_FromVoidPtr(storage ? storage : the_None);
        object *write = PyDict_GetItemWithError(the_pending_writes, key);
        object *kept = write ? PyTuple_GetItem(write, 1) : the_empty;
        for (long k = PyTuple_Size(kept); k--;)
            known += PyTuple_GetItem(kept, k) == e;
        Py_DecRef(key);
        if (REFERENCES(e) == known && REFERENCES(value) == 1 && is_whole(value)) {
            object *number = PyLong_FromLong(uses.at[i]);
            PyList_Append(found, number);
            Py_DecRef(number);
        }
    }
    return found;
}

/* free_leaves(leaves, uses, tracked, calls, in_trace): realize._free_leaves. */
static object *free_leaves(object *self, object *const *arguments, ssize argument_count)
{
    enum answer done = are_done_with(arguments[2], arguments[3]);
    if (done == UNKNOWN)
        return none();
    if (done == NO)
        return PyList_New(0);
    return leaves_to_overwrite(arguments[0], numbers_in(arguments[1]), PyLong_AsLong(arguments[4]));
}

/* Forget what made a value. */
static void forget_call(object *e) { PUT(e, Expression_call, new_reference(the_None)); }

/* Let aliases know whose memory they show, before what made them is forgotten; whether nothing was
   raised. */
static int note_owners(object *wanted)
{
    for (long i = 0, count = PyList_Size(wanted); i < count; i++) {
        object *e = PyList_GetItem(wanted, i), *call = SLOT(e, Expression_call);
        if (call != the_None && SLOT(call, Call_tracked) == the_False && makes_alias(call) &&
            SLOT(e, Expression_owner) == the_None) {
            object *answer = PyObject_CallFunctionObjArgs(the_note_owner, e, (object *)0);
            if (!answer)
                return 0;
            Py_DecRef(answer);
        }
    }
    return 1;
}

/* Let go of what known values were made of where no gradient will come back to it: users before what
   they use, which may go with them. */
static void forget_calls(object *wanted)
{
    for (long i = PyList_Size(wanted); i--;) {
        object *e = PyList_GetItem(wanted, i), *call = SLOT(e, Expression_call);
        if (call == the_None || SLOT(call, Call_tracked) != the_False)
            continue;
        object *references = SLOT(call, Call_outputs);
        long number = PyTuple_Size(references), known = 0;
        for (; known < number; known++) {
            object *output = referred(PyTuple_GetItem(references, known));
            if (output && SLOT(output, Expression_value) == the_None)
                break;
        }
        if (known < number)
            continue;
        Py_IncRef(call);
        PUT(call, Call_inputs, new_reference(the_empty));
        for (long k = 0; k < number; k++) {
            object *output = referred(PyTuple_GetItem(references, k));
            if (output)
                forget_call(output);
        }
        Py_DecRef(call);
    }
}

/* settle(wanted, values): realize._settle, of lists. */
static object *settle(object *self, object *const *arguments, ssize argument_count)
{
    object *wanted = arguments[0], *values = arguments[1];
    if (TYPE(wanted) != the_list_type || TYPE(values) != the_list_type)
        return none();
    long count = PyList_Size(wanted);
    if (PyList_Size(values) != count)
        return none();
    if (!note_owners(wanted))
        return 0;
    for (long i = 0; i < count; i++)
        PUT(PyList_GetItem(wanted, i), Expression_value, new_reference(PyList_GetItem(values, i)));
    forget_calls(wanted);
    return new_reference(the_True);
}

/* ---- what backward has freed ------------------------------------------------------------ */

/* freed._without_value */
static object *without_value(object *e)
{
    object *type = SLOT(e, Expression_type);
    if (SLOT(type, TensorType_weak) == the_True)
        return new_reference(e);
    object *made = new_leaf(type, SLOT(e, Expression_device), the_None);
    if (SLOT(e, Expression_tracked) == the_True && SLOT(e, Expression_leaf) == the_None)
        PUT(made, Expression_call, new_reference(SLOT(e, Expression_call)));
    PUT(made, Expression_number, new_reference(SLOT(e, Expression_number)));
    PUT(made, Expression_tracked, new_reference(SLOT(e, Expression_tracked)));
    PUT(made, Expression_leaf, new_reference(SLOT(e, Expression_leaf)));
    PUT(made, Expression_hooks, new_reference(SLOT(e, Expression_hooks)));
    return made;
}

/* Whether nobody reads a call that is no gradient, nor waits for its results. */
static int is_done_with(object *call)
{
    object *readers = SLOT(call, Call_readers), *references = SLOT(call, Call_outputs);
    if (SLOT(call, Call_has_gradient) == the_True ||
        (TYPE(readers) != the_list_type && readers != the_empty))
        return 0;
    for (long i = PyObject_Size(readers); i--;)
        if (referred(PyList_GetItem(readers, i)))
            return 0;
    for (long i = PyTuple_Size(references); i--;) {
        object *e = referred(PyTuple_GetItem(references, i));
        if (e && SLOT(e, Expression_value) == the_None)
            return 0;
    }
    return 1;
}

/* let_go(references): release._release; those of the calls that are left to Python. */
static object *let_go(object *self, object *const *arguments, ssize argument_count)
{
    object *references = arguments[0], *left = PyList_New(0);
    for (long i = 0; i < PyList_Size(references); i++) {
        object *call = referred(PyList_GetItem(references, i)), *inputs;
        if (!call || SLOT(call, Call_freed) != the_True ||
            !PyTuple_Size(inputs = SLOT(call, Call_inputs)))
            continue;
        if (!is_done_with(call)) {
            PyList_Append(left, PyList_GetItem(references, i));
            continue;
        }
        long count = PyTuple_Size(inputs);
        object *led_to = PyTuple_New(count);
        for (long k = 0; k < count; k++)
            PyTuple_SetItem(led_to, k, without_value(PyTuple_GetItem(inputs, k)));
        Py_IncRef(call); /* the last that holds it may be among its inputs' users */
        PUT(call, Call_led_to, led_to);
        PUT(call, Call_inputs, new_reference(the_empty));
        Py_DecRef(call);
    }
    return left;
}
