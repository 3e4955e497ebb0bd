/* Runs plans: a list of steps, each a kernel over slots of a table of addresses, on a pool of
   threads. Compiled by the same compiler as the kernels, without any header.

   A parallel step is a fork and a join: the caller publishes the step in `pool.signal`, runs its
   own share, and waits until every share is done. Serial steps run on the caller in between.
   Each worker has its own share, so that a core meets the same part of the data in every step; but
   shares that no worker has claimed soon are run by the caller, which therefore never waits for a
   thread to wake up or to get a core.
   A caller that finds the pool taken runs all the shares of its steps itself, one after another,
   so that the results do not depend on who else is running. */

typedef void (*kernel_function)(long thread, long threads, char **arguments, char *scratch);

struct step {
    kernel_function kernel;
    const int *slots; /* of the table, one an argument */
    int count;        /* of arguments */
    int parallel;     /* 0: called once, as (0, 1) */
};

/* A slot that a loop moves: in turn `t` it holds the address in `base`, plus `offset`, plus
   `stride` times `t` modulo `period`; in the first turn that in `first`, where there is one. */
struct move {
    int slot, base, first; /* of the table; first is -1 for none */
    int period;
    long offset, stride;
};

/* Steps `begin` to `end`, done `turns` times. */
struct loop {
    long begin, end, turns;
    const struct move *moves;
    long count; /* of moves */
};

/* One plan with its table, as Python fills it in (cpu.py mirrors it). */
struct program {
    const struct step *steps;
    long count;
    const struct loop *loops; /* in order, apart from each other */
    long loop_count;
    long parallel;      /* whether any step is */
    long scratch_bytes; /* a thread */
    double *seconds;    /* of each step, or null */
    long *shares;       /* or null; for each step and share: begin, end, and which thread ran it */
    long share_count;   /* a step, in `shares` */
    char **table;
};

void *memset(void *, int, unsigned long);
int posix_memalign(void **, unsigned long, unsigned long);
void free(void *);

enum { MAX_THREADS = 1024, ALIGNMENT = 64, ARENAS = 16 };
/* Pauses that the caller grants the workers before it runs their shares: a few microseconds. */
enum { PATIENCE = 60 };

enum { SHARE_FACTS = 3 }; /* of a share: see struct program */

static long thread_count = 1;
static long spin_nanoseconds = 0;

/* ---- What the system gives ---------------------------------------------------------------- */

struct timespec_ { long seconds, nanoseconds; };
int clock_gettime(int, struct timespec_ *);

static long now(void) {
    struct timespec_ t = {0, 0};
    clock_gettime(1 /* CLOCK_MONOTONIC */, &t);
    return t.seconds * 1000000000L + t.nanoseconds;
}

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Run one share of a step, and note when in `shares`, the step's row, where that is wanted. */
static inline void run_share(const struct step *step, long share, long threads, char **arguments,
                             char *scratch, long runner, long *shares) {
    long begin = shares ? now() : 0;
    step->kernel(share, threads, arguments, scratch);
    if (shares) {
        long *facts = shares + SHARE_FACTS * share;
        facts[0] = begin;
        facts[1] = now();
        facts[2] = runner;
    }
}

/* 64-bit little-endian machines only: see struct pool. */
#if defined(__linux__) && defined(__x86_64__) && defined(__LP64__)
#define SYS_FUTEX 202
#elif defined(__linux__) && (defined(__AARCH64EL__) || (defined(__riscv) && __riscv_xlen == 64))
#define SYS_FUTEX 98
#endif

static int try_lock(int *lock) { return !__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE); }
static void unlock(int *lock) { __atomic_store_n(lock, 0, __ATOMIC_RELEASE); }

/* ---- Scratch memory ------------------------------------------------------------------------ */

/* Blocks that grow and stay; each belongs to one running caller at a time. */
static struct arena {
    int lock;
    char *block;
    long bytes;
} arenas[ARENAS];

/* A block, or null where there is no room. */
static char *allocate(long bytes) {
    void *block = 0;
    return posix_memalign(&block, ALIGNMENT, (unsigned long)bytes) ? 0 : block;
}

/* An arena of that many bytes, or without a block where there is no room; `*own` is filled in and
   returned when all of them are taken. */
static struct arena *take_arena(long bytes, struct arena *own) {
    struct arena *arena = own;
    own->block = 0;
    own->bytes = 0;
    for (int i = 0; i < ARENAS; i++)
        if (try_lock(&arenas[i].lock)) {
            arena = &arenas[i];
            break;
        }
    if (arena->bytes < bytes) {
        char *old = arena->block;
        arena->block = 0; /* in this order, so that a fork at any point leaves a usable arena */
        arena->bytes = 0;
        free(old);
        arena->block = allocate(bytes);
        if (arena->block) arena->bytes = bytes;
    }
    return arena;
}

static void give_arena(struct arena *arena, struct arena *own) {
    if (arena == own) free(own->block);
    else unlock(&arena->lock);
}

/* ---- The pool ------------------------------------------------------------------------------ */

#ifdef SYS_FUTEX

long syscall(long, ...);
int pthread_create(unsigned long *, const void *, void *(*)(void *), void *);
int pthread_detach(unsigned long);
int pthread_sigmask(int, const unsigned long *, unsigned long *);
/* glibc exports the first of these, musl the second. */
int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *)
    __attribute__((weak));
int pthread_atfork(void (*)(void), void (*)(void), void (*)(void)) __attribute__((weak));

enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129, THREAD_BITS = 12 };

static struct {
    int lock; /* held by the caller whose plan runs */
    long workers;
    const struct step *step;
    char **arguments;
    char **scratch;
    long *shares; /* the step's row, or null */
    /* Apart, because workers spin on the first and write the second. `signal` is a generation
       above THREAD_BITS bits of the number of threads that take part in it, so that a worker
       learns both at once. Futexes compare the lower halves of these words. */
    unsigned long signal __attribute__((aligned(128)));
    int sleeping_workers;
    unsigned long pending __attribute__((aligned(128))); /* shares that are not done */
    int sleeping_caller;
    /* The last signal for which each share was claimed. */
    unsigned long claimed[MAX_THREADS] __attribute__((aligned(128)));
} pool;

static void futex_wait(unsigned long *word, unsigned long expected) {
    syscall(SYS_FUTEX, word, FUTEX_WAIT_PRIVATE, (unsigned)expected, 0, 0, 0);
}

static void futex_wake(unsigned long *word, int waiters) {
    syscall(SYS_FUTEX, word, FUTEX_WAKE_PRIVATE, waiters, 0, 0, 0);
}

/* Spin until `*word` is no longer `old`, for the time that spinning is worth. */
static unsigned long spin_while(unsigned long *word, unsigned long old) {
    unsigned long value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    long allowed = __atomic_load_n(&spin_nanoseconds, __ATOMIC_RELAXED);
    if (value != old || !allowed) return value;
    long deadline = now() + allowed;
    do {
        for (int i = 0; i < 16; i++) {
            value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
            if (value != old) return value;
            pause_briefly();
        }
    } while (now() < deadline);
    return value;
}

static unsigned long wait_for_signal(unsigned long seen) {
    unsigned long value = spin_while(&pool.signal, seen);
    while (value == seen) {
        /* Said before the word is read again, so that the caller either sees a sleeper or has
           changed the word that the futex compares. */
        __atomic_add_fetch(&pool.sleeping_workers, 1, __ATOMIC_SEQ_CST);
        futex_wait(&pool.signal, seen);
        __atomic_sub_fetch(&pool.sleeping_workers, 1, __ATOMIC_SEQ_CST);
        value = __atomic_load_n(&pool.signal, __ATOMIC_SEQ_CST);
    }
    return value;
}

/* Whether this thread is to run that share of the step that `signal` announced. A worker that
   comes late finds it claimed, for this signal or a later one. */
static int claim(long share, unsigned long signal) {
    unsigned long last = __atomic_load_n(&pool.claimed[share], __ATOMIC_ACQUIRE);
    return signal > last &&
           __atomic_compare_exchange_n(&pool.claimed[share], &last, signal, 0, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static void *work(void *argument) {
    long thread = (long)argument;
    unsigned long seen = 0;
    for (;;) {
        seen = wait_for_signal(seen);
        long threads = (long)(seen & ((1 << THREAD_BITS) - 1));
        if (thread >= threads || !claim(thread, seen)) continue;
        run_share(pool.step, thread, threads, pool.arguments, pool.scratch[thread], thread,
                  pool.shares);
        if (__atomic_sub_fetch(&pool.pending, 1, __ATOMIC_SEQ_CST) == 0 &&
            __atomic_load_n(&pool.sleeping_caller, __ATOMIC_SEQ_CST))
            futex_wake(&pool.pending, 1);
    }
    return 0;
}

/* A forked child has none of its parent's workers, and nobody holds its locks. */
static void forget_after_fork(void) {
    memset(&pool, 0, sizeof pool);
    for (int i = 0; i < ARENAS; i++) arenas[i].lock = 0;
}

/* Have enough workers for `threads`; 0 if the system refuses. The caller holds the pool. */
static int start_workers(long threads) {
    static int registered = 0;
    if (!registered) {
        registered = 1;
        if (__register_atfork) __register_atfork(0, 0, forget_after_fork, 0);
        else if (pthread_atfork) pthread_atfork(0, 0, forget_after_fork);
        else return 0;
    }
    unsigned long every_signal[16], before[16];
    memset(every_signal, 255, sizeof every_signal);
    pthread_sigmask(0 /* SIG_BLOCK */, every_signal, before);
    while (pool.workers < threads - 1) {
        unsigned long id;
        if (pthread_create(&id, 0, work, (void *)(pool.workers + 1))) break;
        pthread_detach(id);
        pool.workers++;
    }
    pthread_sigmask(2 /* SIG_SETMASK */, before, 0);
    return pool.workers >= threads - 1;
}

static int take_pool(long threads) {
    if (threads < 2 || !try_lock(&pool.lock)) return 0;
    if (pool.workers >= threads - 1 || start_workers(threads)) return 1;
    unlock(&pool.lock);
    return 0;
}

static void give_pool(void) { unlock(&pool.lock); }

static void run_on_pool(const struct step *step, char **arguments, char **scratch, long threads,
                        long *shares) {
    unsigned long generation = (pool.signal >> THREAD_BITS) + 1;
    unsigned long signal = generation << THREAD_BITS | (unsigned long)threads;
    pool.step = step;
    pool.arguments = arguments;
    pool.scratch = scratch;
    pool.shares = shares;
    __atomic_store_n(&pool.pending, (unsigned long)threads - 1, __ATOMIC_RELAXED);
    __atomic_store_n(&pool.signal, signal, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool.sleeping_workers, __ATOMIC_SEQ_CST))
        futex_wake(&pool.signal, MAX_THREADS);

    run_share(step, 0, threads, arguments, scratch[0], 0, shares);

    int patience = __atomic_load_n(&spin_nanoseconds, __ATOMIC_RELAXED) ? PATIENCE : 0;
    for (int i = 0; i < patience; i++) {
        if (!__atomic_load_n(&pool.pending, __ATOMIC_ACQUIRE)) return;
        pause_briefly();
    }
    for (long t = 1; t < threads; t++)
        if (claim(t, signal)) {
            run_share(step, t, threads, arguments, scratch[t], 0, shares);
            __atomic_sub_fetch(&pool.pending, 1, __ATOMIC_SEQ_CST);
        }

    unsigned long left;
    while ((left = __atomic_load_n(&pool.pending, __ATOMIC_ACQUIRE))) {
        if (spin_while(&pool.pending, left) != left) continue;
        __atomic_store_n(&pool.sleeping_caller, 1, __ATOMIC_SEQ_CST);
        left = __atomic_load_n(&pool.pending, __ATOMIC_SEQ_CST);
        if (left) futex_wait(&pool.pending, left);
        __atomic_store_n(&pool.sleeping_caller, 0, __ATOMIC_SEQ_CST);
    }
}

#else /* no futex: every share runs on the caller */

static int take_pool(long threads) { return 0; }
static void give_pool(void) {}
static void run_on_pool(const struct step *step, char **arguments, char **scratch, long threads,
                        long *shares) {}

#endif

/* ---- Running ------------------------------------------------------------------------------- */

static void run_steps(const struct step *steps, long begin, long end, char **table,
                      char **scratch, long threads, int pooled, double *seconds, long *shares,
                      long share_count) {
    long start = seconds ? now() : 0;
    for (long i = begin; i < end; i++) {
        const struct step *step = &steps[i];
        char *arguments[step->count + 1];
        for (int a = 0; a < step->count; a++) arguments[a] = table[step->slots[a]];
        long *row = shares ? shares + SHARE_FACTS * share_count * i : 0;
        if (!step->parallel) run_share(step, 0, 1, arguments, scratch[0], 0, row);
        else if (pooled) run_on_pool(step, arguments, scratch, threads, row);
        else
            for (long thread = 0; thread < threads; thread++)
                run_share(step, thread, threads, arguments, scratch[thread], 0, row);
        if (seconds) {
            long stop = now();
            seconds[i] += (double)(stop - start) * 1e-9;
            start = stop;
        }
    }
}

static void run_all(const struct program *program, char **scratch, long threads, int pooled) {
    char **table = program->table;
    long *shares = threads <= program->share_count ? program->shares : 0;
    long done = 0;
    for (long l = 0; l < program->loop_count; l++) {
        const struct loop *loop = &program->loops[l];
        run_steps(program->steps, done, loop->begin, table, scratch, threads, pooled,
                  program->seconds, shares, program->share_count);
        for (long turn = 0; turn < loop->turns; turn++) {
            for (long m = 0; m < loop->count; m++) {
                const struct move *move = &loop->moves[m];
                table[move->slot] =
                    turn == 0 && move->first >= 0
                        ? table[move->first]
                        : table[move->base] + move->offset + turn % move->period * move->stride;
            }
            run_steps(program->steps, loop->begin, loop->end, table, scratch, threads, pooled,
                      program->seconds, 0, 0);
        }
        done = loop->end;
    }
    run_steps(program->steps, done, program->count, table, scratch, threads, pooled,
              program->seconds, shares, program->share_count);
}

/* Counted here, where it costs nothing. */
long lt_programs_run, lt_kernels_run;

/* Run a program with `lt_set_threads` threads and scratch memory of the process; -1, and nothing
   is run, where there is no room for that. */
int lt_run_program(const struct program *program) {
    long threads = program->parallel ? __atomic_load_n(&thread_count, __ATOMIC_RELAXED) : 1;
    char *scratch[threads];
    struct arena own, *arena = 0;
    int pooled = take_pool(threads);
    if (program->scratch_bytes) {
        /* A page apart, so that no two threads write one cache line or one prefetched pair. */
        long stride = (program->scratch_bytes + 4095) & ~4095L;
        long shares = pooled ? threads : 1;
        arena = take_arena(stride * shares, &own);
        if (!arena->block) {
            give_arena(arena, &own);
            if (pooled) give_pool();
            return -1;
        }
        for (long t = 0; t < threads; t++) scratch[t] = arena->block + (pooled ? stride * t : 0);
    } else {
        memset(scratch, 0, sizeof scratch);
    }
    run_all(program, scratch, threads, pooled);
    if (arena) give_arena(arena, &own);
    if (pooled) give_pool();
    __atomic_fetch_add(&lt_programs_run, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&lt_kernels_run, program->count, __ATOMIC_RELAXED);
    return 0;
}

/* As lt_run_program, over a table of the caller's own. */
int lt_run_program_on(const struct program *program, char **table) {
    struct program own = *program;
    own.table = table;
    return lt_run_program(&own);
}

/* Threads that parallel steps are cut for, and how long an idle one spins before it sleeps. */
void lt_set_threads(long threads, long spin) {
    threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    __atomic_store_n(&spin_nanoseconds, spin, __ATOMIC_RELAXED);
    __atomic_store_n(&thread_count, threads, __ATOMIC_RELAXED);
}
