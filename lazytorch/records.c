/* What every operation of every step does to the records of expression.py: the usual case, without
   the interpreter. records.py loads it, and each function has a twin in Python that does the same,
   and all that is unusual; where a function here gives None, its twin is asked.

   Compiled by the compiler of the kernels, without Python's headers, which few machines have: the
   functions of Python's stable interface are found by name when this is loaded, and where a class
   keeps a slot is measured then. */

typedef void object;
typedef long ssize;

/* ---- what is filled in ------------------------------------------------------------------------ */

#define FUNCTIONS(F)                                                                               \
    F(void, Py_IncRef, (object *))                                                                 \
    F(void, Py_DecRef, (object *))                                                                 \
    F(object *, PyTuple_New, (ssize))                                                              \
    F(int, PyTuple_SetItem, (object *, ssize, object *))                                           \
    F(object *, PyTuple_GetItem, (object *, ssize))                                                \
    F(ssize, PyTuple_Size, (object *))                                                             \
    F(object *, PyList_New, (ssize))                                                               \
    F(int, PyList_SetItem, (object *, ssize, object *))                                            \
    F(object *, PyList_GetItem, (object *, ssize))                                                 \
    F(ssize, PyList_Size, (object *))                                                              \
    F(int, PyList_Append, (object *, object *))                                                    \
    F(int, PyList_SetSlice, (object *, ssize, ssize, object *))                                    \
    F(object *, PyList_AsTuple, (object *))                                                        \
    F(object *, PyDict_GetItemWithError, (object *, object *))                                     \
    F(int, PyDict_SetItem, (object *, object *, object *))                                         \
    F(int, PyDict_DelItem, (object *, object *))                                                   \
    F(object *, PyDict_Values, (object *))                                                         \
    F(int, PyDict_Next, (object *, ssize *, object **, object **))                                 \
    F(ssize, PyObject_Size, (object *))                                                            \
    F(object *, PySequence_List, (object *))                                                       \
    F(object *, PyCell_Get, (object *))                                                            \
    F(object *, PyLong_FromLong, (long))                                                           \
    F(object *, PyLong_FromVoidPtr, (void *))                                                      \
    F(long, PyLong_AsLong, (object *))                                                             \
    F(void *, PyLong_AsVoidPtr, (object *))                                                        \
    F(double, PyFloat_AsDouble, (object *))                                                        \
    F(object *, PyObject_GetAttr, (object *, object *))                                            \
    F(int, PyObject_SetAttr, (object *, object *, object *))                                       \
    F(object *, PyObject_GenericGetDict, (object *, void *))                                       \
    F(object *, PyObject_CallFunctionObjArgs, (object *, ...))                                     \
    F(object *, PyType_GenericAlloc, (object *, ssize))                                            \
    F(object *, PyWeakref_NewRef, (object *, object *))                                            \
    F(void, PyErr_Clear, (void))                                                                   \
    F(int, PyErr_CheckSignals, (void))                                                             \
    F(void, PyErr_Fetch, (object **, object **, object **))                                        \
    F(void, PyErr_Restore, (object *, object *, object *))                                         \
    F(object *, PyErr_Occurred, (void))                                                            \
    F(void *, PyEval_SaveThread, (void))                                                           \
    F(void, PyEval_RestoreThread, (void *))                                                        \
    F(char *, PyBytes_AsString, (object *))                                                        \
    F(ssize, PyBytes_Size, (object *))                                                             \
    F(object *, PyCFunction_NewEx, (void *, object *, object *))

/* Of classes whose instances are nothing but slots. */
#define SLOTS(S)                                                                                   \
    S(Expression, call) S(Expression, depth) S(Expression, device) S(Expression, hooks)            \
    S(Expression, leaf) S(Expression, number) S(Expression, owner) S(Expression, tracked)          \
    S(Expression, type) S(Expression, value) S(Expression, __weakref__)                            \
    S(Call, freed) S(Call, has_gradient) S(Call, inputs) S(Call, led_to) S(Call, outputs)          \
    S(Call, place) S(Call, readers) S(Call, sequence) S(Call, signature) S(Call, tracked)          \
    S(Storage, expression) S(Storage, inference) S(Storage, regions) S(Storage, special)           \
    S(Storage, version) S(Storage, viewed)                                                         \
    S(Buffer, _block) S(Buffer, _capacity) S(Buffer, address) S(Buffer, memory) S(Buffer, nbytes)  \
    S(Buffer, order) S(Buffer, __weakref__)                                                        \
    S(Tensor, __weakref__)                                                                         \
    S(Overwritten, by) S(Overwritten, silent) S(Overwritten, storage) S(Overwritten, version)      \
    S(Function, signatures)                                                                        \
    S(Signature, function) S(Signature, output_types) S(Signature, places_left)                    \
    S(TensorType, dtype) S(TensorType, size) S(TensorType, weak)

#define OBJECTS(O)                                                                                 \
    O(None) O(True) O(False) O(zero) O(empty) O(cpu) O(float_type) O(int_type) O(list_type)        \
    O(tuple_type) O(reference_type) O(Tensor) O(Parameter) O(Expression) O(Call)                   \
    O(Storage) O(Overwritten) O(scalar) O(born) O(held) O(pending_writes) O(next_in_sequence)      \
    O(name_storage) O(name_geometry) O(name_marker) O(name_connected) O(name_silent)               \
    O(name_differentiable) O(name_grad) O(name_type) O(Buffer)                                     \
    O(weak_float) O(may_be_written) O(note_owner) O(ALIASES) O(PLACEHOLDER)                        \
    O(memory) O(name_free) O(name_live) O(name_waiting) O(name_peak) O(name_highest)

#define DECLARE_FUNCTION(result, name, parameters) static result(*name) parameters;
#define DECLARE_SLOT(class, name) static long class##_##name;
#define DECLARE_OBJECT(name) static object *the_##name;
FUNCTIONS(DECLARE_FUNCTION)
SLOTS(DECLARE_SLOT)
OBJECTS(DECLARE_OBJECT)

#define NAME_FUNCTION(result, name, parameters) #name " "
#define NAME_SLOT(class, name) #class "." #name " "
#define NAME_OBJECT(name) #name " "
const char lt_functions[] = FUNCTIONS(NAME_FUNCTION);
const char lt_slots[] = SLOTS(NAME_SLOT);
const char lt_objects[] = OBJECTS(NAME_OBJECT);

#define PLACE_FUNCTION(result, name, parameters) &name,
#define PLACE_SLOT(class, name) &class##_##name,
#define PLACE_OBJECT(name) &the_##name,
static void *function_places[] = {FUNCTIONS(PLACE_FUNCTION)};
static long *slot_places[] = {SLOTS(PLACE_SLOT)};
static object **object_places[] = {OBJECTS(PLACE_OBJECT)};

#define COUNT(array) (long)(sizeof(array) / sizeof(array[0]))

/* Tell all of it, in the order of the names. */
void lt_fill(void **functions, const long *slots, object **objects)
{
    for (long i = 0; i < COUNT(function_places); i++)
        *(void **)function_places[i] = functions[i];
    for (long i = 0; i < COUNT(slot_places); i++)
        *slot_places[i] = slots[i];
    for (long i = 0; i < COUNT(object_places); i++)
        *object_places[i] = objects[i];
}

/* ---- objects ---------------------------------------------------------------------------------- */

void *malloc(unsigned long);
void *calloc(unsigned long, unsigned long);
void free(void *);
void *memcpy(void *, const void *, unsigned long);

#define SLOT(o, name) (*(object **)((char *)(o) + name))
#define TYPE(o) (((object **)(o))[1])
/* How many references there are: newer Pythons keep flags in the upper half. */
#define REFERENCES(o) (*(unsigned int *)(o))

static object *new_reference(object *o)
{
    Py_IncRef(o);
    return o;
}

/* A slot of an object that was just made. */
#define FILL(o, name, value) (SLOT(o, name) = new_reference(value))

/* Give a slot another object, of which the reference is taken. */
static void put(object **slot, object *value)
{
    object *before = *slot;
    *slot = value;
    Py_DecRef(before);
}
#define PUT(o, name, value) put(&SLOT(o, name), value)

static object *none(void) { return new_reference(the_None); }

static object *boolean(int value) { return value ? the_True : the_False; }

/* What an expression or a call says of what is recorded: a number; True is 1. */
static long tracking(object *tracked)
{
    return tracked == the_False ? 0 : tracked == the_True ? 1 : PyLong_AsLong(tracked);
}

/* What a weak reference refers to, borrowed; NULL where that is gone. Somebody else keeps it: what
   is looked at here, nothing lets go of meanwhile. */
static object *referred(object *reference)
{
    object *found = PyObject_CallFunctionObjArgs(reference, (object *)0);
    if (!found) {
        PyErr_Clear();
        return 0;
    }
    Py_DecRef(found);
    return found == the_None ? 0 : found;
}

/* What a handler of a signal raised. */
struct raised {
    object *type, *value, *trace;
};

/* Have the signals that came meanwhile answered, before memory is freed: that calls Python, which
   would answer them too, and lose what they raise. */
static struct raised answered_signals(void)
{
    struct raised raised = {0};
    if (PyErr_CheckSignals())
        PyErr_Fetch(&raised.type, &raised.value, &raised.trace);
    return raised;
}

static object *raise(struct raised raised)
{
    PyErr_Restore(raised.type, raised.value, raised.trace);
    return 0;
}

/* ---- recording a call ------------------------------------------------------------------------- */

/* Of inputs and of outputs; and of pending calls on a path, as in recording.py. */
enum { MOST = 1000, MAXIMUM_DEPTH = 2000, MAXIMUM_TURNS = 128, SMALL = 256 };

struct inputs {
    object *expressions[MOST]; /* owned */
    long count, depth;
    int tracked, has_gradient;
};

static void release(struct inputs *found)
{
    for (long i = 0; i < found->count; i++)
        Py_DecRef(found->expressions[i]);
}

/* Whether an attribute of a tensor is this very object. */
static int attribute_is(object *tensor, object *name, object *expected)
{
    object *value = PyObject_GetAttr(tensor, name);
    if (!value) {
        PyErr_Clear();
        return 0;
    }
    Py_DecRef(value);
    return value == expected;
}

/* The storage on the cpu of which a tensor shows the whole, with no history of its own; borrowed,
   NULL for another tensor. */
static object *plain_storage(object *x)
{
    if (!attribute_is(x, the_name_geometry, the_None) || !attribute_is(x, the_name_marker, the_None))
        return 0;
    object *storage = PyObject_GetAttr(x, the_name_storage);
    if (!storage) {
        PyErr_Clear();
        return 0;
    }
    object *e = SLOT(storage, Storage_expression);
    int usual = SLOT(storage, Storage_special) == the_None && !SLOT(storage, Storage_inference) &&
                SLOT(e, Expression_device) == the_cpu;
    Py_DecRef(storage); /* which the tensor keeps */
    return usual ? storage : 0;
}

/* The expression that a plain tensor reads, borrowed; NULL for another tensor. */
static object *read_plain(object *x)
{
    object *storage = plain_storage(x);
    if (!storage)
        return 0;
    object *e = SLOT(storage, Storage_expression);
    if (SLOT(e, Expression_tracked) != the_False) {
        if (SLOT(e, Expression_tracked) != the_True || !attribute_is(x, the_name_connected, the_True))
            return 0;
        object *leaf = SLOT(e, Expression_leaf);
        if (leaf != the_None && referred(leaf) != x)
            return 0;
    }
    return e;
}

/* How deep a pending value is, and whether there is a gradient call below. */
static void look_below(object *e, long *depth, int *has_gradient)
{
    long own = PyLong_AsLong(SLOT(e, Expression_depth));
    object *call = SLOT(e, Expression_call);
    if (own > *depth)
        *depth = own;
    if (call != the_None && SLOT(call, Call_has_gradient) == the_True)
        *has_gradient = 1;
}

/* Whether values of a type have gradients. */
static int is_differentiable(object *type)
{
    return attribute_is(SLOT(type, TensorType_dtype), the_name_differentiable, the_True);
}

/* A value that nothing is known of but itself, as expression.new_expression makes it. */
static object *new_leaf(object *type, object *device, object *value)
{
    object *made = PyType_GenericAlloc(the_Expression, 0);
    FILL(made, Expression_type, type);
    FILL(made, Expression_device, device);
    FILL(made, Expression_call, the_None);
    FILL(made, Expression_number, the_zero);
    FILL(made, Expression_value, value);
    FILL(made, Expression_tracked, the_False);
    FILL(made, Expression_depth, the_zero);
    FILL(made, Expression_owner, the_None);
    FILL(made, Expression_leaf, the_None);
    FILL(made, Expression_hooks, the_None);
    return made;
}

/* Whether all inputs are plain; -1 where an exception is raised. */
static int read_inputs(object *inputs, struct inputs *found)
{
    int is_list = TYPE(inputs) == the_list_type;
    found->count = found->depth = found->tracked = found->has_gradient = 0;
    if (!is_list && TYPE(inputs) != the_tuple_type)
        return 0;
    long count = is_list ? PyList_Size(inputs) : PyTuple_Size(inputs);
    if (count > MOST)
        return 0;
    for (long i = 0; i < count; i++) {
        object *x = is_list ? PyList_GetItem(inputs, i) : PyTuple_GetItem(inputs, i);
        object *type = TYPE(x), *e;
        if (type == the_Tensor || type == the_Parameter) {
            e = read_plain(x);
            if (!e)
                return 0;
            if (SLOT(e, Expression_tracked) == the_True)
                found->tracked = 1;
            if (SLOT(e, Expression_value) == the_None)
                look_below(e, &found->depth, &found->has_gradient);
            Py_IncRef(e);
        } else if (type == the_Expression) {
            e = new_reference(x);
            if (tracking(SLOT(e, Expression_tracked)) > 1) {
                Py_DecRef(e);
                return 0;
            }
            if (SLOT(e, Expression_tracked) == the_True)
                found->tracked = 1;
            if (SLOT(e, Expression_value) == the_None)
                look_below(e, &found->depth, &found->has_gradient);
        } else if (type == the_float_type) {
            e = new_leaf(the_weak_float, the_cpu, x);
        } else if (type == the_int_type) {
            e = PyObject_CallFunctionObjArgs(the_scalar, x, the_cpu, (object *)0);
            if (!e)
                return -1;
        } else
            return 0;
        found->expressions[found->count++] = e;
    }
    return 1;
}

/* What a call is made of; ``expressions`` is a tuple, of which the reference is taken. */
struct making {
    object *signature, *expressions;
    long depth;
    int tracked, has_gradient;
};

/* Whether a chain of pending calls may be one to run now: recording.is_long. */
static int is_long(const struct making *making)
{
    if (making->depth > MAXIMUM_DEPTH)
        return 1;
    if (making->depth <= MAXIMUM_TURNS || making->tracked || making->has_gradient)
        return 0;
    object *types = SLOT(making->signature, Signature_output_types);
    return PyLong_AsLong(SLOT(PyTuple_GetItem(types, 0), TensorType_size)) <= SMALL;
}

/* The call, owned by its outputs, and these: as recording.outputs_of_call. */
static void make_outputs(const struct making *making, object **outputs, long count)
{
    object *call = PyType_GenericAlloc(the_Call, 0), *references = PyTuple_New(count);
    object *types = SLOT(making->signature, Signature_output_types);
    int tracked = making->tracked;
    FILL(call, Call_signature, making->signature);
    SLOT(call, Call_inputs) = making->expressions;
    FILL(call, Call_tracked, boolean(tracked));
    FILL(call, Call_has_gradient, boolean(making->has_gradient));
    FILL(call, Call_freed, the_False);
    FILL(call, Call_place, the_None);
    FILL(call, Call_readers, the_empty);
    if (tracked)
        SLOT(call, Call_sequence) = PyObject_CallFunctionObjArgs(the_next_in_sequence, (object *)0);
    for (long i = 0; i < count; i++) {
        object *e = outputs[i] = PyType_GenericAlloc(the_Expression, 0);
        object *type = PyTuple_GetItem(types, i);
        FILL(e, Expression_type, type);
        FILL(e, Expression_device, the_cpu);
        FILL(e, Expression_call, call);
        SLOT(e, Expression_number) = PyLong_FromLong(i);
        FILL(e, Expression_value, the_None);
        FILL(e, Expression_owner, the_None);
        FILL(e, Expression_leaf, the_None);
        FILL(e, Expression_hooks, the_None);
        FILL(e, Expression_tracked, boolean(tracked && is_differentiable(type)));
        SLOT(e, Expression_depth) = PyLong_FromLong(making->depth);
        PyTuple_SetItem(references, i, PyWeakref_NewRef(e, 0));
    }
    SLOT(call, Call_outputs) = references;
    Py_DecRef(call);
}

/* The signature for some inputs, borrowed; NULL where it is new, or something is to be done at each
   of its calls, or it has too many outputs. */
static object *known_signature(object *function, object *const *expressions, long count,
                               object *attributes)
{
    object *types = PyTuple_New(count), *key = PyTuple_New(2);
    for (long i = 0; i < count; i++)
        PyTuple_SetItem(types, i, new_reference(SLOT(expressions[i], Expression_type)));
    PyTuple_SetItem(key, 0, types);
    PyTuple_SetItem(key, 1, new_reference(attributes));
    object *signature = PyDict_GetItemWithError(SLOT(function, Function_signatures), key);
    Py_DecRef(key);
    if (!signature) {
        PyErr_Clear();
        return 0;
    }
    return SLOT(signature, Signature_places_left) == the_zero &&
                   PyTuple_Size(SLOT(signature, Signature_output_types)) <= MOST
               ? signature
               : 0;
}

/* A storage that shows a value, of which the reference is taken. */
static object *made_storage(object *e)
{
    object *storage = PyType_GenericAlloc(the_Storage, 0), *owner = PyWeakref_NewRef(storage, 0);
    SLOT(storage, Storage_expression) = e;
    FILL(storage, Storage_version, the_zero);
    FILL(storage, Storage_regions, the_zero);
    FILL(storage, Storage_special, the_None);
    Py_DecRef(SLOT(e, Expression_owner));
    SLOT(e, Expression_owner) = owner;
    PyList_Append(the_born, owner);
    return storage;
}

/* plain(function, inputs, attributes, recording): application._recorded, and the storages of its
   results: one, or a tuple. None where an input is not plain, or the signature is new. */
static object *plain(object *self, object *const *arguments, ssize argument_count)
{
    struct inputs inputs;
    object *outputs[MOST];
    int are_plain = read_inputs(arguments[1], &inputs);
    if (are_plain != 1) {
        release(&inputs);
        return are_plain < 0 ? 0 : none();
    }
    struct making making = {
        known_signature(arguments[0], inputs.expressions, inputs.count, arguments[2]), 0,
        inputs.depth + 1, inputs.tracked && arguments[3] == the_True, inputs.has_gradient,
    };
    if (!making.signature || is_long(&making)) {
        release(&inputs);
        return none();
    }
    making.expressions = PyTuple_New(inputs.count);
    for (long i = 0; i < inputs.count; i++)
        PyTuple_SetItem(making.expressions, i, inputs.expressions[i]);
    long count = PyTuple_Size(SLOT(making.signature, Signature_output_types));
    make_outputs(&making, outputs, count);
    if (count == 1)
        return made_storage(outputs[0]);
    object *storages = PyTuple_New(count);
    for (long i = 0; i < count; i++)
        PyTuple_SetItem(storages, i, made_storage(outputs[i]));
    return storages;
}

/* record(function, inputs, attributes, tracked): recording.record. */
static object *record(object *self, object *const *arguments, ssize argument_count)
{
    object *inputs = arguments[1], *expressions[MOST], *outputs[MOST];
    long count = TYPE(inputs) == the_tuple_type ? PyTuple_Size(inputs) : MOST + 1;
    struct making making = {0, inputs, 0, arguments[3] == the_True, 0};
    if (count > MOST || (arguments[3] != the_True && arguments[3] != the_False))
        return none();
    for (long i = 0; i < count; i++) {
        object *e = expressions[i] = PyTuple_GetItem(inputs, i);
        if (SLOT(e, Expression_device) != the_cpu)
            return none();
        if (SLOT(e, Expression_value) == the_None)
            look_below(e, &making.depth, &making.has_gradient);
    }
    making.signature = known_signature(arguments[0], expressions, count, arguments[2]);
    making.depth++;
    if (!making.signature || is_long(&making))
        return none();
    Py_IncRef(inputs);
    count = PyTuple_Size(SLOT(making.signature, Signature_output_types));
    make_outputs(&making, outputs, count);
    object *list = PyList_New(count);
    for (long i = 0; i < count; i++)
        PyList_SetItem(list, i, outputs[i]);
    return list;
}

/* ---- structures that were seen before --------------------------------------------------------- */

/* Numbers that Python packed into bytes. */
struct numbers {
    const int *at;
    long count;
};

static struct numbers numbers_in(object *bytes)
{
    return (struct numbers){(const int *)PyBytes_AsString(bytes), PyBytes_Size(bytes) / sizeof(int)};
}

static struct numbers numbers(object *facts, long i) { return numbers_in(PyTuple_GetItem(facts, i)); }

/* What is met from some roots on, as known_traces.py says it; all of it borrowed. */
struct graph {
    object **met, **each, **calls;
    long each_count, call_count;
};

/* A set of up to ``most`` objects. */
struct set {
    object **table;
    unsigned long mask;
};

static struct set new_set(long most)
{
    unsigned long size = 16;
    while (size < 2 * (unsigned long)most)
        size *= 2;
    return (struct set){calloc(size, sizeof(object *)), size - 1};
}

/* Where an object is in a set, or would be. */
static object **place_of(struct set set, object *item)
{
    unsigned long place = ((unsigned long)item >> 4) * 0x9e3779b97f4a7c15UL >> 32 & set.mask;
    while (set.table[place] && set.table[place] != item)
        place = (place + 1) & set.mask;
    return set.table + place;
}

static int distinct(object **items, long count)
{
    struct set met = new_set(count);
    long i = 0;
    for (; met.table && i < count; i++) {
        object **place = place_of(met, items[i]);
        if (*place)
            break;
        *place = items[i];
    }
    free(met.table);
    return i == count;
}

/* Of a call: where it is found, tracked, has_gradient (2 for either), how many inputs. */
enum { STEP_FACTS = 4 };

/* Follow the calls of a known structure: facts 0 to 3 are their signatures, the facts of each, the
   first occurrence of each expression, and which expression each occurrence is. */
static int follow(struct graph *graph, object *facts, object *roots)
{
    object *signatures = PyTuple_GetItem(facts, 0);
    struct numbers steps = numbers(facts, 1), firsts = numbers(facts, 2), same_as = numbers(facts, 3);
    long end = PyList_Size(roots), count = steps.count / STEP_FACTS;
    graph->each_count = firsts.count;
    graph->call_count = count;
    graph->met = malloc((same_as.count + firsts.count + count) * sizeof *graph->met);
    if (!graph->met)
        return 0;
    graph->each = graph->met + same_as.count;
    graph->calls = graph->each + firsts.count;
    for (long i = 0; i < end; i++)
        graph->met[i] = PyList_GetItem(roots, i);
    for (long i = 0; i < count; i++) {
        const int *step = steps.at + STEP_FACTS * i;
        object *call = SLOT(graph->met[step[0]], Expression_call);
        if (call == the_None || SLOT(call, Call_signature) != PyTuple_GetItem(signatures, i) ||
            tracking(SLOT(call, Call_tracked)) != step[1] ||
            (step[2] != 2 && SLOT(call, Call_has_gradient) != boolean(step[2])))
            return 0;
        object *inputs = SLOT(call, Call_inputs);
        if (PyTuple_Size(inputs) != step[3])
            return 0; /* they are gone */
        graph->calls[i] = call;
        for (long k = 0; k < step[3]; k++)
            graph->met[end++] = PyTuple_GetItem(inputs, k);
    }
    for (long i = 0; i < firsts.count; i++)
        graph->each[i] = graph->met[firsts.at[i]];
    for (long i = 0; i < same_as.count; i++)
        if (graph->met[i] != graph->each[same_as.at[i]])
            return 0;
    return distinct(graph->each, firsts.count) && distinct(graph->calls, count);
}

/* Whether these expressions are outputs of these calls: of each the expression, the call and the number,
   and as much more as makes ``step``. */
static int are_made_as(struct graph *graph, struct numbers made, long step)
{
    for (long i = 0; i < made.count; i += step) {
        object *e = graph->each[made.at[i]];
        if (SLOT(e, Expression_call) != graph->calls[made.at[i + 1]] ||
            PyLong_AsLong(SLOT(e, Expression_number)) != made.at[i + 2])
            return 0;
    }
    return 1;
}

/* Whether somebody shows this value, as the value of a storage. */
static int is_shown(object *e)
{
    object *owner = SLOT(e, Expression_owner);
    if (TYPE(owner) != the_reference_type)
        return 0;
    object *storage = referred(owner);
    return storage && SLOT(storage, Storage_expression) == e;
}

static object *list_of(object **items, long count)
{
    object *list = PyList_New(count);
    for (long i = 0; i < count; i++)
        PyList_SetItem(list, i, new_reference(items[i]));
    return list;
}

/* Those that are numbered by every ``step``-th number. */
static object *chosen(object **items, struct numbers which, long step)
{
    object *list = PyList_New(which.count / step);
    for (long i = 0; i < which.count; i += step)
        PyList_SetItem(list, i / step, new_reference(items[which.at[i]]));
    return list;
}

/* All that the calls make, None for what is gone, as a list. */
static object *outputs_of(struct graph *graph)
{
    object *outputs = PyList_New(0);
    for (long i = 0; i < graph->call_count; i++) {
        object *references = SLOT(graph->calls[i], Call_outputs);
        long number = PyTuple_Size(references);
        for (long k = 0; k < number; k++) {
            object *e = referred(PyTuple_GetItem(references, k));
            PyList_Append(outputs, e ? e : the_None);
        }
    }
    return outputs;
}

static object *chosen_outputs(object *outputs, struct numbers which)
{
    object *list = PyList_New(which.count);
    for (long i = 0; i < which.count; i++)
        PyList_SetItem(list, i, new_reference(PyList_GetItem(outputs, which.at[i])));
    return list;
}

static int is_trace(struct graph *graph, object *facts, object *outputs)
{
    struct numbers pending = numbers(facts, 4), leaves = numbers(facts, 5);
    object *types = PyTuple_GetItem(facts, 6);
    struct numbers roots = numbers(facts, 7), others = numbers(facts, 8);
    int has_gradient = PyTuple_GetItem(facts, 9) == the_True;
    if (!are_made_as(graph, pending, 4))
        return 0;
    for (long i = 0; i < pending.count; i += 4)
        if ((SLOT(graph->each[pending.at[i]], Expression_value) != the_None) != pending.at[i + 3])
            return 0;
    for (long i = 0; i < leaves.count; i += 2) {
        object *e = graph->each[leaves.at[i]], *call = SLOT(e, Expression_call);
        if (SLOT(e, Expression_type) != PyTuple_GetItem(types, i / 2) ||
            tracking(SLOT(e, Expression_tracked)) != leaves.at[i + 1] ||
            SLOT(e, Expression_value) == the_None)
            return 0;
        if (call != the_None && has_gradient && SLOT(e, Expression_tracked) != the_False &&
            PyTuple_Size(SLOT(call, Call_inputs)))
            return 0; /* a gradient goes through it */
    }
    for (long i = 0; i < roots.count; i++)
        if ((SLOT(graph->met[i], Expression_leaf) == the_None) != roots.at[i])
            return 0;
    for (long i = 0; i < others.count; i += 3) {
        object *e = PyList_GetItem(outputs, others.at[i]);
        int is_alive = e != the_None, is_bound = others.at[i + 2];
        if ((is_alive && SLOT(e, Expression_value) != the_None) != is_bound)
            return 0;
        if (is_alive && SLOT(e, Expression_leaf) != the_None)
            return 0;
        if (!is_bound && (is_alive && is_shown(e)) != others.at[i + 1])
            return 0;
    }
    return 1;
}

/* A trace that is as a known one; lists. */
struct trace {
    object *calls, *leaves, *outputs, *tracked, *wanted;
};

/* Whether what some roots come to has a known structure: KnownTrace._compare. */
static int find_trace(struct trace *found, object *facts, object *roots)
{
    struct graph graph;
    int same = follow(&graph, facts, roots);
    if (same) {
        object *outputs = found->outputs = outputs_of(&graph);
        same = is_trace(&graph, facts, outputs);
        if (same) {
            found->calls = list_of(graph.calls, graph.call_count);
            found->leaves = chosen(graph.each, numbers(facts, 5), 2);
            found->tracked = chosen(graph.calls, numbers(facts, 10), 1);
            found->wanted = chosen_outputs(outputs, numbers(facts, 11));
        } else
            Py_DecRef(outputs);
    }
    free(graph.met);
    return same;
}

/* known_trace(facts, roots): KnownTrace._compare. */
static object *known_trace(object *self, object *const *arguments, ssize argument_count)
{
    struct trace found;
    if (!find_trace(&found, arguments[0], arguments[1]))
        return none();
    object *all = PyTuple_New(6);
    PyTuple_SetItem(all, 0, found.calls);
    PyTuple_SetItem(all, 1, found.leaves);
    PyTuple_SetItem(all, 2, found.outputs);
    PyTuple_SetItem(all, 3, found.tracked);
    PyTuple_SetItem(all, 4, found.wanted);
    PyTuple_SetItem(all, 5, chosen_outputs(found.outputs, numbers(arguments[0], 12)));
    return all;
}

/* Whether a value may have been written over since it was read; -1 where Ctrl-C came. */
static int may_be_written(object *e)
{
    object *owner = SLOT(e, Expression_owner);
    if (owner == the_None || TYPE(owner) == the_reference_type)
        return 0;
    object *answer = PyObject_CallFunctionObjArgs(the_may_be_written, e, (object *)0);
    if (!answer)
        return -1;
    Py_DecRef(answer);
    return answer != the_False;
}

/* Whether what a call makes is an alias of its input. */
static int makes_alias(object *call)
{
    object *function = SLOT(SLOT(call, Call_signature), Signature_function);
    for (long i = PyTuple_Size(the_ALIASES); i--;)
        if (function == PyTuple_GetItem(the_ALIASES, i))
            return 1;
    return 0;
}

/* As in known_walks.py; -1 where Ctrl-C came. */
static int is_walk(struct graph *graph, object *facts)
{
    struct numbers each = numbers(facts, 4);
    if (!are_made_as(graph, numbers(facts, 5), 3))
        return 0;
    for (long i = 0; i < graph->call_count; i++)
        if (SLOT(graph->calls[i], Call_freed) != the_False)
            return 0;
    for (long i = 0; i < graph->each_count; i++) {
        object *e = graph->each[i], *call = SLOT(e, Expression_call);
        long tracked = tracking(SLOT(e, Expression_tracked));
        int is_leaf = SLOT(e, Expression_leaf) != the_None;
        int has_hooks = SLOT(e, Expression_hooks) != the_None, written = may_be_written(e);
        if (tracked > 1 || each.at[i] != tracked + 2 * is_leaf + 4 * has_hooks || written)
            return written < 0 ? -1 : 0;
        while (!tracked && !written && call != the_None && makes_alias(call) &&
               PyTuple_Size(SLOT(call, Call_inputs))) {
            object *shown = PyTuple_GetItem(SLOT(call, Call_inputs), 0);
            written = may_be_written(shown);
            call = SLOT(shown, Expression_call);
        }
        if (written)
            return written < 0 ? -1 : 0;
    }
    object *outputs = outputs_of(graph);
    long count = PyList_Size(outputs);
    int written = 0;
    for (long i = 0; !written && i < count; i++) {
        object *e = PyList_GetItem(outputs, i);
        if (e != the_None)
            written = may_be_written(e);
    }
    Py_DecRef(outputs);
    return written < 0 ? -1 : !written;
}

/* known_walk(facts, [root]): KnownWalk._compare. */
static object *known_walk(object *self, object *const *arguments, ssize argument_count)
{
    object *facts = arguments[0], *found = 0;
    struct graph graph;
    int same = follow(&graph, facts, arguments[1]) ? is_walk(&graph, facts) : 0;
    if (same == 1) {
        found = PyTuple_New(2);
        PyTuple_SetItem(found, 0, chosen(graph.each, numbers(facts, 6), 1));
        PyTuple_SetItem(found, 1, chosen(graph.calls, numbers(facts, 7), 1));
    }
    free(graph.met);
    return found || same < 0 ? found : none();
}
