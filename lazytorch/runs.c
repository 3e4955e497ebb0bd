/* A trace that was recognised, as one run of its plan: the last part of records.c, after which it is
   compiled. one_run.py packs what it is told. */

/* ---- memory ----------------------------------------------------------------------------------- */

/* A number that memory.py counts. */
static long counted(object *name)
{
    return PyLong_AsLong(PyDict_GetItemWithError(the_memory, name));
}

static void put_count(object *name, long value)
{
    object *number = PyLong_FromLong(value);
    PyDict_SetItem(the_memory, name, number);
    Py_DecRef(number);
}

/* memory.allocate of what a block waits for, by (size class, bytes); NULL where none does. */
static object *take_buffer(object *size)
{
    object *capacity = PyTuple_GetItem(size, 0), *block, *made;
    object *blocks = PyDict_GetItemWithError(PyDict_GetItemWithError(the_memory, the_name_free), capacity);
    long last = blocks ? PyList_Size(blocks) - 1 : -1;
    if (last < 0)
        return 0;
    block = new_reference(PyList_GetItem(blocks, last));
    PyList_SetSlice(blocks, last, last + 1, 0);
    long bytes = PyLong_AsLong(capacity), live = counted(the_name_live) + bytes;
    put_count(the_name_waiting, counted(the_name_waiting) - bytes);
    put_count(the_name_live, live);
    if (live > counted(the_name_peak)) {
        put_count(the_name_peak, live);
        if (live > counted(the_name_highest))
            put_count(the_name_highest, live);
    }
    made = PyType_GenericAlloc(the_Buffer, 0);
    SLOT(made, Buffer__block) = block;
    FILL(made, Buffer__capacity, capacity);
    FILL(made, Buffer_address, PyTuple_GetItem(block, 0));
    FILL(made, Buffer_memory, the_None);
    FILL(made, Buffer_nbytes, PyTuple_GetItem(size, 1));
    FILL(made, Buffer_order, the_None);
    return made;
}

/* ---- the run ---------------------------------------------------------------------------------- */

/* A parameter that is a number, and whether a float. */
struct scalar {
    long parameter, is_float;
};

/* An output that may take a parameter's memory. */
struct donation {
    long output, parameter;
};

/* What stays the same from run to run. */
struct plan {
    object *program, *sizes; /* of outputs, and of the arena where there is one */
    const struct scalar *scalars;
    long scalar_count;
    const struct donation *donations;
    long donation_count;
    const long *offsets;
    long offset_count, output_count;
};

/* What a parameter or output is in memory; NULL where it is no memory of the host's, in rows. */
static char *host_address(object *value) { return is_in_rows(value) ? address_of(value) : 0; }

/* Memory for the outputs and the arena, where ``memory`` has none: of leaves that are free, else of
   what waits for reuse; the numbers of those for which there is none, as a tuple. */
static object *find_memory(const struct plan *plan, object *leaves, object *are_free, object *memory)
{
    object *lacking = PyList_New(0), *answer;
    for (long i = 0; i < plan->donation_count; i++) {
        const struct donation *donation = plan->donations + i;
        for (long k = PyList_Size(are_free); k--;)
            if (PyLong_AsLong(PyList_GetItem(are_free, k)) == donation->parameter) {
                object *leaf = PyList_GetItem(leaves, donation->parameter);
                PyList_SetItem(memory, donation->output, new_reference(SLOT(leaf, Expression_value)));
            }
    }
    for (long i = 0, count = PyList_Size(memory); i < count; i++) {
        if (PyList_GetItem(memory, i) != the_None)
            continue;
        object *found = take_buffer(PyTuple_GetItem(plan->sizes, i));
        if (found) {
            PyList_SetItem(memory, i, found);
            continue;
        }
        object *number = PyLong_FromLong(i);
        PyList_Append(lacking, number);
        Py_DecRef(number);
    }
    answer = PyList_AsTuple(lacking);
    Py_DecRef(lacking);
    return answer;
}

/* Run the kernels: 0, or 1 where there is no room for scratch memory, or -1 where something is
   unusual, and nothing was done. */
static int run_plan(const struct plan *plan, object *leaves, object *memory)
{
    object *table = PyTuple_GetItem(plan->program, 2);
    long table_bytes = PyBytes_Size(table), parameter_count = PyList_Size(leaves);
    char *filled = malloc(table_bytes + 8 * (plan->scalar_count + 1)), **place = (char **)filled;
    if (!filled)
        return -1;
    int answer = 0;
    memcpy(filled, PyBytes_AsString(table), table_bytes);
    for (long i = 0, next = 0; i < parameter_count && !answer; i++) {
        object *value = SLOT(PyList_GetItem(leaves, i), Expression_value);
        if (next < plan->scalar_count && plan->scalars[next].parameter == i) {
            char *number = filled + table_bytes + 8 * next;
            if (plan->scalars[next++].is_float)
                *(double *)number = PyFloat_AsDouble(value);
            else
                *(long *)number = PyLong_AsLong(value);
            *place++ = number;
        } else if (!(*place++ = host_address(value)))
            answer = -1;
    }
    if (PyErr_Occurred()) { /* no such number */
        PyErr_Clear();
        answer = -1;
    }
    for (long i = 0; i < plan->output_count; i++)
        *place++ = host_address(PyList_GetItem(memory, i));
    for (long i = 0; i < plan->offset_count; i++)
        *place++ = host_address(PyList_GetItem(memory, plan->output_count)) + plan->offsets[i];
    if (!answer) {
        int (*run)(void *, char **) =
            (int (*)(void *, char **))PyLong_AsVoidPtr(PyTuple_GetItem(plan->program, 0));
        void *thread = PyEval_SaveThread();
        answer = run(PyLong_AsVoidPtr(PyTuple_GetItem(plan->program, 1)), (char **)filled);
        PyEval_RestoreThread(thread);
    }
    free(filled);
    return answer;
}

/* Those of some calls that backward has not freed. */
static object *not_freed(object *tracked)
{
    object *found = PyList_New(0);
    for (long i = 0, count = PyList_Size(tracked); i < count; i++)
        if (SLOT(PyList_GetItem(tracked, i), Call_freed) != the_True)
            PyList_Append(found, PyList_GetItem(tracked, i));
    return found;
}

/* What is computed: a trace by a plan. */
struct run {
    struct trace trace;
    struct plan plan;
    object *memory;                     /* of the outputs and the arena: a list */
    object *are_free, *lacking, *kept;  /* of leaves; of memory; of calls. NULL until they are known */
};

/* Whether a value that is shown is to lie in another order than that of its axes, or its storage is
   special in another way. */
static int is_special(object *e)
{
    object *owner = SLOT(e, Expression_owner);
    object *storage = TYPE(owner) == the_reference_type ? referred(owner) : 0;
    return storage && SLOT(storage, Storage_special) != the_None;
}

/* Find memory and run the kernels: as run_plan says. */
static int start(struct run *run, object *uses)
{
    enum answer done = NO;
    for (long i = PyList_Size(run->trace.wanted); i--;)
        if (is_special(PyList_GetItem(run->trace.wanted, i)))
            return -1;
    if (run->plan.donation_count)
        done = are_done_with(run->trace.tracked, run->trace.calls);
    if (done == UNKNOWN)
        return -1;
    run->are_free = done == NO ? PyList_New(0)
                               : leaves_to_overwrite(run->trace.leaves, numbers_in(uses), 1);
    run->lacking = find_memory(&run->plan, run->trace.leaves, run->are_free, run->memory);
    return PyTuple_Size(run->lacking) ? -1 : run_plan(&run->plan, run->trace.leaves, run->memory);
}

/* Give everything its value. */
static void finish(struct run *run)
{
    for (long i = PyList_Size(run->are_free); i--;) {
        long number = PyLong_AsLong(PyList_GetItem(run->are_free, i));
        PUT(PyList_GetItem(run->trace.leaves, number), Expression_value, none());
    }
    for (long i = 0; i < run->plan.output_count; i++)
        PUT(PyList_GetItem(run->trace.wanted, i), Expression_value,
            new_reference(PyList_GetItem(run->memory, i)));
    run->kept = not_freed(run->trace.tracked);
}

/* Let go of what a run is made of, and if it is done of what its results are made of. */
static void end(struct run *run, int is_done)
{
    Py_DecRef(run->memory);
    Py_DecRef(run->trace.calls);
    Py_DecRef(run->trace.leaves);
    Py_DecRef(run->trace.outputs);
    Py_DecRef(run->trace.tracked);
    if (is_done) /* and what the trace alone referred to is not waiting for anything */
        forget_calls(run->trace.wanted);
    Py_DecRef(run->trace.wanted);
    if (run->are_free)
        Py_DecRef(run->are_free);
    if (run->lacking)
        Py_DecRef(run->lacking);
    if (run->kept)
        Py_DecRef(run->kept);
}

/* compute(facts, roots, held, told, made): realize._run_known, of a plan that C can run.

   ``made`` has memory for outputs, and for the arena if there is one, or None. A list of the tracked
   calls that were run and are not freed; or, and nothing was done, a tuple of the numbers of those
   that memory is to be made for; False where the structure is not the known one; True where there is
   no room for scratch memory; None where something is unusual.

   Between the look at who knows of what and the end nothing of Python runs, so that no signal is to
   be held off: one that came meanwhile is answered when everything has its value. */
static object *compute(object *self, object *const *arguments, ssize argument_count)
{
    object *facts = arguments[0], *told = arguments[3], *answer;
    struct run run = {0};
    if (!find_trace(&run.trace, facts, arguments[1]))
        return new_reference(the_False);
    run.plan = (struct plan){
        PyTuple_GetItem(told, 0),       PyTuple_GetItem(told, 1),
        PACKED(struct scalar, told, 2), PACKED(struct donation, told, 3),
        PACKED(long, told, 4),          PyList_Size(run.trace.wanted),
    };
    run.memory = PySequence_List(arguments[4]);
    int is_lost = is_any_lost(arguments[2], run.trace.outputs, run.trace.wanted,
                              PyTuple_GetItem(facts, 9) == the_True);
    int is_noted = !is_lost && note_owners(run.trace.wanted);
    int failed = is_noted ? start(&run, PyTuple_GetItem(told, 5)) : -1;
    struct raised raised = {0};
    if (!failed) {
        finish(&run);
        raised = answered_signals();
        answer = run.kept;
    } else if (run.lacking && PyTuple_Size(run.lacking))
        answer = run.lacking;
    else
        answer = is_lost ? the_False : failed > 0 ? the_True : is_noted ? the_None : 0;
    if (answer)
        Py_IncRef(answer);
    end(&run, !failed);
    if (!raised.type)
        return answer;
    Py_DecRef(answer);
    return raise(raised);
}

/* ---- what Python calls ------------------------------------------------------------------------ */

static struct {
    const char *name;
    void *function;
    int flags;
    const char *documentation;
} methods[] = {
    {"plain", plain, 0x80 /* METH_FASTCALL */, 0},
    {"record", record, 0x80, 0},
    {"write_over", write_over, 0x80, 0},
    {"known_trace", known_trace, 0x80, 0},
    {"known_walk", known_walk, 0x80, 0},
    {"loses_any", loses_any, 0x80, 0},
    {"unchanged", unchanged, 0x80, 0},
    {"pending", pending, 0x80, 0},
    {"held", held, 0x80, 0},
    {"free_leaves", free_leaves, 0x80, 0},
    {"settle", settle, 0x80, 0},
    {"let_go", let_go, 0x80, 0},
    {"fits", fits, 0x80, 0},
    {"replay", replay, 0x80, 0},
    {"compute", compute, 0x80, 0},
};

long lt_method_count(void) { return COUNT(methods); }

object *lt_method(long i) { return PyCFunction_NewEx(&methods[i], 0, 0); }
