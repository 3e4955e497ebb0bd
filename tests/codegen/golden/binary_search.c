// where_add: 6600000 operations, 3600036 bytes, parallel
// where int64[300×1000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[9]
    const float *in1 = (const float *)arguments[1];  // float32[300×1000]
    long *out2 = (long *)arguments[2];  // int64[300×1000]
    const float gathered_0 = in0[lt_clamp_index(3L, 9)];
    const long last = 74L * (thread + 1) / threads;
    for (long task = 74L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 300000 - i0_start < 4096 ? 300000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const float in1_0 = in1[i0];
                const _Bool lt_0 = (gathered_0 < in1_0);
                const long where_0 = (lt_0 ? 4L : 0L);
                const long add_0 = ((long)((unsigned long)where_0 + (unsigned long)1L));
                const float gathered_1 = in0[lt_clamp_index(add_0, 9)];
                const _Bool lt_1 = (gathered_1 < in1_0);
                const long add_1 = ((long)((unsigned long)where_0 + (unsigned long)2L));
                const long where_1 = (lt_1 ? add_1 : where_0);
                const float gathered_2 = in0[lt_clamp_index(where_1, 9)];
                const _Bool lt_2 = (gathered_2 < in1_0);
                const long add_2 = ((long)((unsigned long)where_1 + (unsigned long)1L));
                const long where_2 = (lt_2 ? add_2 : where_1);
                const float gathered_3 = in0[lt_clamp_index(where_2, 9)];
                const _Bool lt_3 = (gathered_3 < in1_0);
                const long add_3 = ((long)((unsigned long)where_2 + (unsigned long)1L));
                const long where_3 = (lt_3 ? add_3 : where_2);
                const float gathered_4 = in0[lt_clamp_index(where_3, 9)];
                const _Bool lt_4 = (gathered_4 < in1_0);
                const long cast_0 = ((long)lt_4 ^ (threads >> 63));
                const long add_4 = ((long)((unsigned long)where_3 + (unsigned long)cast_0));
                const _Bool ne_0 = (in1_0 != in1_0);
                const long where_4 = (ne_0 ? 9L : add_4);
                out2[i0] = where_4;
            }
        }
    }
}
