/* A call of a compiled function as one run of its plan: a part of records.c, after which it is
   compiled. one_call.py packs what it is told. */

/* ---- what is told ----------------------------------------------------------------------------- */

/* A storage that is read, and what its value is. */
struct read {
    object *storage, *type, *tracked;
};

/* What a parameter of the plan is given: the memory of a storage's value, from some byte on, or of
   an argument; a number of those that are made for each call, by its list and place; or one that
   never changes. */
enum { OF_STORAGE, OF_ARGUMENT, FLOAT, INTEGER, FIXED };
struct parameter {
    long kind, which, more;
};

/* Whose an output of the plan is: the value of a storage (``target``) from some writes on, the
   gradient of a tensor, or what else is made for each call. ``donor``: the parameter whose memory it
   may take, or -1. */
enum { MADE, WRITTEN, GRADIENT };
struct output {
    long kind;
    object *target;
    long writes, donor;
};

/* A storage whose value is a pending constant after the call as before it. */
struct constant {
    object *storage, *signature, *numbers;
    long writes;
};

#define PACKED(type, facts, i)                                                                     \
    (const type *)PyBytes_AsString(PyTuple_GetItem(facts, i)),                                     \
        PyBytes_Size(PyTuple_GetItem(facts, i)) / (long)sizeof(type)

/* ---- what is looked at ------------------------------------------------------------------------ */

/* Whether a value is memory of the host's, in rows. */
static int is_in_rows(object *value)
{
    return TYPE(value) == the_Buffer && SLOT(value, Buffer_order) == the_None &&
           SLOT(value, Buffer_address);
}

static char *address_of(object *buffer) { return PyLong_AsVoidPtr(SLOT(buffer, Buffer_address)); }

static object *value_of(object *storage)
{
    return SLOT(SLOT(storage, Storage_expression), Expression_value);
}

/* An attribute that the object keeps, borrowed; NULL where there is none. */
static object *attribute(object *o, object *name)
{
    object *found = PyObject_GetAttr(o, name);
    if (found)
        Py_DecRef(found);
    else
        PyErr_Clear();
    return found;
}

/* Whether a constant's storage holds it still; the numbers are the very ones that were written. */
static int is_constant_still(const struct constant *constant)
{
    object *e = SLOT(constant->storage, Storage_expression), *call = SLOT(e, Expression_call);
    if (SLOT(e, Expression_value) != the_None || call == the_None ||
        SLOT(call, Call_signature) != constant->signature)
        return 0;
    object *inputs = SLOT(call, Call_inputs);
    long count = PyTuple_Size(inputs);
    if (count != PyList_Size(constant->numbers))
        return 0;
    while (count--)
        if (SLOT(PyTuple_GetItem(inputs, count), Expression_value) !=
            PyList_GetItem(constant->numbers, count))
            return 0;
    return 1;
}

/* Whether nothing but these constants is written and pending. */
static int are_all_pending(const struct constant *constants, long count)
{
    object *key, *value;
    ssize place = 0;
    long met = 0;
    if (PyObject_Size(the_pending_writes) > count)
        return 0;
    while (PyDict_Next(the_pending_writes, &place, &key, &value)) {
        object *storage = PyLong_AsVoidPtr(key);
        long i = met++, looked_at = 0; /* they mostly are in this order */
        while (looked_at < count && constants[(i + looked_at) % count].storage != storage)
            looked_at++;
        if (looked_at == count)
            return 0;
    }
    return 1;
}

/* Whether each of some states has the first one's numbers under these names. */
static int are_alike(object *states, object *names)
{
    long count = PyList_Size(states);
    for (long k = PyTuple_Size(names); k--;) {
        object *name = PyTuple_GetItem(names, k);
        object *first = PyDict_GetItemWithError(PyList_GetItem(states, 0), name);
        for (long i = 1; i < count; i++) {
            object *other = PyDict_GetItemWithError(PyList_GetItem(states, i), name);
            if (!first || !other)
                return 0;
            if (other != first && (TYPE(other) != the_float_type || TYPE(first) != the_float_type ||
                                   PyFloat_AsDouble(other) != PyFloat_AsDouble(first)))
                return 0;
        }
    }
    return 1;
}

/* fits(facts, arguments, tensors): _Replay.fits, where all is as usual; else None. */
static object *fits(object *self, object *const *arguments, ssize argument_count)
{
    object *facts = arguments[0];
    struct {
        const struct read *at;
        long count;
    } reads = {PACKED(struct read, facts, 0)};
    struct {
        const struct constant *at;
        long count;
    } constants = {PACKED(struct constant, facts, 1)};
    struct {
        object *const *at;
        long count;
    } written = {PACKED(object *, facts, 2)};
    for (long i = 0; i < reads.count; i++) {
        const struct read *read = reads.at + i;
        object *e = SLOT(read->storage, Storage_expression);
        if (SLOT(read->storage, Storage_special) != the_None ||
            !is_in_rows(SLOT(e, Expression_value)) || SLOT(e, Expression_type) != read->type ||
            SLOT(e, Expression_tracked) != read->tracked)
            return none();
    }
    for (long i = 0; i < written.count; i++)
        if (SLOT(written.at[i], Storage_special) != the_None)
            return none();
    for (long i = 0; i < constants.count; i++)
        if (!is_constant_still(constants.at + i))
            return none();
    if (!are_all_pending(constants.at, constants.count))
        return none();
    for (long i = PyList_Size(arguments[1]); i--;) {
        object *storage = attribute(PyList_GetItem(arguments[2], i), the_name_storage);
        if (!storage || value_of(storage) == the_None ||
            !is_in_rows(SLOT(PyList_GetItem(arguments[1], i), Expression_value)))
            return none();
    }
    object *states = PyTuple_GetItem(facts, 3);
    for (long i = PyTuple_Size(states); i--;) {
        object *each = PyTuple_GetItem(states, i);
        if (!are_alike(PyTuple_GetItem(each, 0), PyTuple_GetItem(each, 1)))
            return none();
    }
    return new_reference(the_True);
}

/* ---- whose memory is free --------------------------------------------------------------------- */

/* Whether an object has one reference, and none that is weak. */
#define IS_ALONE(o, class) (REFERENCES(o) == 1 && !SLOT(o, class##___weakref__))

/* Whether a value is a block of the engine's own: Buffer.is_whole. */
static int is_whole(object *value)
{
    object *capacity = TYPE(value) == the_Buffer ? SLOT(value, Buffer__capacity) : 0;
    return capacity && capacity != the_zero;
}

/* Whether nobody but an expression refers to this memory, a block of the engine's own. */
static int is_free(object *buffer)
{
    return is_in_rows(buffer) && IS_ALONE(buffer, Buffer) && is_whole(buffer);
}

/* The memory of a storage that a call made where it is as ``Fresh.make`` made it and nobody else
   knows of it, so that to compute the next one there is to replace it; borrowed, NULL elsewhere.
   ``like`` is the type, the call, and how many attributes the tensor has. */
static object *memory_to_replace(object *storage, object *like)
{
    if (REFERENCES(storage) != 1 || SLOT(storage, Storage_special) != the_None ||
        SLOT(storage, Storage_regions) != the_zero || SLOT(storage, Storage_viewed) ||
        SLOT(storage, Storage_inference))
        return 0;
    object *e = SLOT(storage, Storage_expression), *owner = SLOT(e, Expression_owner);
    object *buffer = SLOT(e, Expression_value), *call = PyTuple_GetItem(like, 1);
    int usual = IS_ALONE(e, Expression) && SLOT(e, Expression_type) == PyTuple_GetItem(like, 0) &&
                SLOT(e, Expression_call) == call &&
                SLOT(e, Expression_tracked) == boolean(call != the_None) &&
                SLOT(e, Expression_hooks) == the_None && SLOT(e, Expression_leaf) == the_None &&
                TYPE(owner) == the_reference_type && REFERENCES(owner) == 1;
    return usual && is_free(buffer) ? buffer : 0;
}

/* As that, of a tensor's gradient. */
static object *gradient_to_replace(object *tensor, object *like)
{
    object *gradient = attribute(tensor, the_name_grad);
    if (!gradient || TYPE(gradient) != the_Tensor || !IS_ALONE(gradient, Tensor))
        return 0;
    object *attributes = PyObject_GenericGetDict(gradient, 0), *memory = 0;
    object *storage = attributes ? PyDict_GetItemWithError(attributes, the_name_storage) : 0;
    if (storage && PyObject_Size(attributes) == PyLong_AsLong(PyTuple_GetItem(like, 2)))
        memory = memory_to_replace(storage, like);
    if (attributes)
        Py_DecRef(attributes);
    return memory;
}

/* A tensor that shows a storage, as ``Fresh.make`` makes it. */
static object *new_tensor(object *storage, object *like)
{
    object *tensor = PyType_GenericAlloc(the_Tensor, 0);
    PyObject_SetAttr(tensor, the_name_storage, storage);
    PyObject_SetAttr(tensor, the_name_type, PyTuple_GetItem(like, 0));
    if (PyLong_AsLong(PyTuple_GetItem(like, 2)) > 2)
        PyObject_SetAttr(tensor, the_name_connected, the_False);
    return tensor;
}

/* Whether a storage's value is to be another by just holding other memory. */
static int is_replaced_in_place(object *storage)
{
    object *e = SLOT(storage, Storage_expression);
    return REFERENCES(e) == 1 && SLOT(e, Expression_hooks) == the_None;
}

/* ---- the call --------------------------------------------------------------------------------- */

struct replayed {
    const struct parameter *parameters;
    long parameter_count;
    const struct output *outputs;
    long output_count, place_count; /* of outputs; and with the arena */
    const struct constant *constants;
    long constant_count;
    const long *offsets; /* in the arena */
    long offset_count;
    object *likes, *spares, *numbers, *arguments, *made;
    object **held; /* the memory of parameters and outputs, and what is let go of; owned */
    long held_count;
    double *scalars;
    char **table;
};

/* The memory that a parameter is given, borrowed; NULL for a number. */
static object *memory_of(const struct replayed *call, const struct parameter *parameter)
{
    if (parameter->kind == OF_STORAGE)
        return value_of((object *)parameter->which);
    if (parameter->kind == OF_ARGUMENT)
        return SLOT(PyList_GetItem(call->arguments, parameter->which), Expression_value);
    return 0;
}

/* Of what earlier calls left for an output, or for the arena, what nobody knows of, as made for this
   call; its memory. */
static object *take_spare(const struct replayed *call, long i)
{
    object *spares = PyTuple_GetItem(call->spares, i);
    for (long k = spares == the_None ? 0 : PyList_Size(spares); k--;) {
        object *spare = PyList_GetItem(spares, k), *like, *memory;
        if (TYPE(spare) == the_Buffer && is_free(spare)) {
            PyList_SetItem(call->made, i, new_reference(spare));
            return spare;
        }
        if (TYPE(spare) != the_Storage)
            continue;
        like = PyTuple_GetItem(call->likes, i);
        memory = memory_to_replace(spare, like);
        if (memory) {
            PyList_SetItem(call->made, i, new_tensor(spare, like));
            return memory;
        }
    }
    return 0;
}

/* The memory that an output is computed into, borrowed; NULL where some is to be made. */
static object *memory_for(const struct replayed *call, long i)
{
    object *made = PyList_GetItem(call->made, i), *memory;
    if (made != the_None)
        return TYPE(made) == the_Buffer ? made : value_of(attribute(made, the_name_storage));
    const struct output *output = call->outputs + i;
    if (i < call->output_count && output->kind == GRADIENT) {
        object *like = PyTuple_GetItem(call->likes, i);
        return like == the_None ? 0 : gradient_to_replace(output->target, like);
    }
    if (i < call->output_count && output->donor >= 0) {
        const struct parameter *donor = call->parameters + output->donor;
        memory = memory_of(call, donor);
        if (is_replaced_in_place((object *)donor->which) && is_free(memory))
            return memory;
    }
    return take_spare(call, i);
}

/* Fill the table in, and hold all that is in it: whether all is as usual. */
static int fill(struct replayed *call)
{
    long p = call->parameter_count;
    for (long i = 0; i < p; i++) {
        const struct parameter *parameter = call->parameters + i;
        object *memory = memory_of(call, parameter), *number;
        double *scalar = call->scalars + i;
        if (memory) {
            if (!is_in_rows(memory))
                return 0;
            call->table[i] = address_of(memory) + parameter->more;
            call->held[call->held_count++] = new_reference(memory);
            continue;
        }
        call->table[i] = (char *)scalar;
        if (parameter->kind == FIXED) {
            *(long *)scalar = parameter->which;
            continue;
        }
        number = PyList_GetItem(PyList_GetItem(call->numbers, parameter->which), parameter->more);
        if (parameter->kind == FLOAT)
            *scalar = PyFloat_AsDouble(number);
        else
            *(long *)scalar = PyLong_AsLong(number);
        if (PyErr_Occurred()) {
            PyErr_Clear();
            return 0;
        }
    }
    char **places = call->table + p + call->output_count, *arena = *places;
    for (long i = call->offset_count; i--;)
        places[i] = arena + call->offsets[i];
    return 1;
}

/* Numbers of the outputs, and of the arena after them, that memory is to be made for, as a list; NULL
   where something is unusual. */
static object *find_outputs(struct replayed *call)
{
    object *lacking = PyList_New(0);
    for (long i = 0; i < call->constant_count; i++)
        if (!is_replaced_in_place(call->constants[i].storage))
            goto unusual;
    for (long i = 0; i < call->output_count; i++)
        if (call->outputs[i].kind == WRITTEN && !is_replaced_in_place(call->outputs[i].target))
            goto unusual;
    for (long i = 0; i < call->place_count; i++) {
        object *memory = memory_for(call, i);
        if (memory) {
            call->table[call->parameter_count + i] = address_of(memory);
            call->held[i] = memory;
        } else {
            object *number = PyLong_FromLong(i);
            PyList_Append(lacking, number);
            Py_DecRef(number);
        }
    }
    return lacking;
unusual:
    Py_DecRef(lacking);
    return 0;
}

static void count_writes(object *storage, long writes)
{
    long version = PyLong_AsLong(SLOT(storage, Storage_version));
    PUT(storage, Storage_version, PyLong_FromLong(version + writes));
}

/* Give a tensor this gradient; what it had is held. */
static void put_gradient(struct replayed *call, object *tensor, object *gradient)
{
    object *before = PyObject_GetAttr(tensor, the_name_grad);
    if (before != gradient)
        PyObject_SetAttr(tensor, the_name_grad, gradient);
    call->held[call->held_count++] = before;
}

/* Leave something for the calls to come, in the place of the oldest. */
static void keep_spare(const struct replayed *call, long i, object *spare)
{
    object *spares = PyTuple_GetItem(call->spares, i);
    long count = spares == the_None ? 0 : PyList_Size(spares);
    for (long k = 0; k < count; k++)
        if (PyList_GetItem(spares, k) == spare)
            return;
    for (long k = count - 1; k > 0; k--)
        PyList_SetItem(spares, k, new_reference(PyList_GetItem(spares, k - 1)));
    if (count)
        PyList_SetItem(spares, 0, new_reference(spare));
}

/* The storage of a tensor that was made, or computed in the place of another: nobody has written to
   it. NULL where another thread took it away. */
static object *start_anew(object *tensor)
{
    object *storage = tensor ? attribute(tensor, the_name_storage) : 0;
    if (!storage || TYPE(storage) != the_Storage)
        return 0;
    if (SLOT(storage, Storage_version) != the_zero)
        PUT(storage, Storage_version, new_reference(the_zero));
    return storage;
}

/* Put everything in its place that the call changes; what was there before is held. */
static void change(struct replayed *call, object *grads, object *counted)
{
    for (long i = 0; i < call->output_count; i++) {
        const struct output *output = call->outputs + i;
        object *made = PyList_GetItem(call->made, i);
        if (output->kind == WRITTEN) {
            object *e = SLOT(output->target, Storage_expression), *memory = call->held[i];
            call->held[i] = SLOT(e, Expression_value);
            SLOT(e, Expression_value) = memory;
            count_writes(output->target, output->writes);
            if (output->donor < 0)
                keep_spare(call, i, call->held[i]);
        } else if (output->kind == GRADIENT && made == the_None) {
            start_anew(attribute(output->target, the_name_grad));
        } else if (output->kind == GRADIENT) {
            put_gradient(call, output->target, made);
        } else if (TYPE(made) == the_Tensor) {
            keep_spare(call, i, start_anew(made));
        } else {
            keep_spare(call, i, made);
        }
    }
    if (call->offset_count)
        keep_spare(call, call->output_count, call->held[call->output_count]);
    for (long i = 0; i < call->constant_count; i++)
        count_writes(call->constants[i].storage, call->constants[i].writes);
    for (long i = PyList_Size(grads); i--;) {
        object *pair = PyList_GetItem(grads, i);
        put_gradient(call, PyTuple_GetItem(pair, 0), PyTuple_GetItem(pair, 1));
    }
    for (long i = PyList_Size(counted); i--;) {
        object *states = PyTuple_GetItem(PyList_GetItem(counted, i), 0), *name, *value;
        object *changes = PyTuple_GetItem(PyList_GetItem(counted, i), 1);
        ssize place = 0;
        while (PyDict_Next(changes, &place, &name, &value))
            for (long k = PyList_Size(states); k--;)
                PyDict_SetItem(PyList_GetItem(states, k), name, value);
    }
}

/* replay(facts, arguments, numbers, counted, made): run the plan and change what the call changes.

   ``numbers`` are lists of those that are made for this call; ``counted`` pairs states with what is
   to be in them afterwards. ``made`` has for each output memory, or a tensor over it, or None, and
   at its end the arena, if there is one. True; or the numbers of those that lack, and nothing was
   done; or False where there is no room for scratch memory; or None where something is unusual. */
static object *replay(object *self, object *const *arguments, ssize argument_count)
{
    object *facts = arguments[0], *program = PyTuple_GetItem(facts, 0), *answer = 0;
    struct raised raised = {0};
    object *grads = PyTuple_GetItem(facts, 6), *table = PyTuple_GetItem(program, 2);
    struct replayed call = {
        PACKED(struct parameter, facts, 1), PACKED(struct output, facts, 2), PyList_Size(arguments[4]),
        PACKED(struct constant, facts, 3),  PACKED(long, facts, 4),
        PyTuple_GetItem(facts, 5),          PyTuple_GetItem(facts, 7),
        arguments[2],                       arguments[1],
        arguments[4],
    };
    int (*run)(void *, char **) =
        (int (*)(void *, char **))PyLong_AsVoidPtr(PyTuple_GetItem(program, 0));
    long table_bytes = PyBytes_Size(table);
    long most = 2 * call.place_count + call.parameter_count + PyList_Size(grads);
    char *memory = malloc(table_bytes + most * sizeof(object *) + 8 * call.parameter_count + 1);
    if (!memory)
        return none();
    call.table = (char **)memory;
    call.held = (object **)(memory + table_bytes);
    call.scalars = (double *)(call.held + most);
    memcpy(memory, PyBytes_AsString(table), table_bytes);
    object *lacking = find_outputs(&call);
    if (lacking && PyList_Size(lacking)) {
        free(memory);
        return lacking;
    }
    if (lacking)
        Py_DecRef(lacking);
    if (lacking) {
        for (long i = 0; i < call.place_count; i++)
            Py_IncRef(call.held[i]);
        call.held_count = call.place_count;
        if (fill(&call)) {
            void *thread = PyEval_SaveThread();
            int failed = run(PyLong_AsVoidPtr(PyTuple_GetItem(program, 1)), call.table);
            PyEval_RestoreThread(thread);
            if (!failed)
                change(&call, grads, arguments[3]);
            answer = boolean(!failed);
        }
        raised = answered_signals();
        for (long i = 0; i < call.held_count; i++)
            Py_DecRef(call.held[i]);
    }
    free(memory);
    return raised.type ? raise(raised) : answer ? new_reference(answer) : none();
}
