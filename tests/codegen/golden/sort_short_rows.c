// neg: 6000 operations, 96000 bytes, serial
// neg int64[300×20]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const long *in0 = (const long *)arguments[0];  // int64[300×20]
    long *out1 = (long *)arguments[1];  // int64[300×20]
    const long last = 2L * (thread + 1) / threads;
    for (long task = 2L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 6000 - i0_start < 4096 ? 6000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const long in0_0 = in0[i0];
                const long neg_0 = ((long)(0 - (unsigned long)in0_0));
                out1[i0] = neg_0;
            }
        }
    }
}

// sort_ranks: 48000 operations, 96000 bytes, parallel
// argsort int64[300×20]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const long *in0 = (const long *)arguments[0];  // int64[300×20]
    long *out1 = (long *)arguments[1];  // int64[300×20]
    const unsigned long *elements = (const unsigned long *)in0;
    long *places = (long *)out1;
    const long last_row = 300L * (thread + 1) / threads;
    for (long row = 300L * thread / threads; row < last_row; row++) {
        const unsigned long *source = elements + row * 20;
        unsigned long keys[20], ranks[20];
        for (long i = 0; i < 20; i++) {
            const unsigned long key = (unsigned long)source[i] ^ 0x8000000000000000UL ^ 0xffffffffffffffffUL;
            keys[i] = key;
            ranks[i] = 0;
        }
        for (unsigned long j = 0; j < 20; j++) {
            const unsigned long key = keys[j];
            #pragma GCC ivdep
            for (unsigned long i = 0; i < 20; i++)
                ranks[i] += (key < keys[i]) | ((key == keys[i]) & (j < i));
        }
        for (long i = 0; i < 20; i++) {
            const long rank = ranks[i];
            places[row * 20 + rank] = i;
        }
    }
}
