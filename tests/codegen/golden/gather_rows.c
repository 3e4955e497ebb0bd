// gather: 12800 operations, 308800 bytes, parallel
// gather float32[200×64]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const long *in0 = (const long *)arguments[0];  // int64[200]
    const float *in1 = (const float *)arguments[1];  // float32[1000×64]
    float *out2 = (float *)arguments[2];  // float32[200×64]
    const long last = 200L * (thread + 1) / threads;
    for (long task = 200L * thread / threads; task < last; task++) {
        const long in0_0 = in0[task];
        #pragma GCC ivdep
        for (long lane = 0; lane < 64; lane++) {
            const long i1 = lane;
            const float gathered_0 = in1[lt_clamp_index(in0_0, 1000) * 64 + i1];
            out2[task * 64 + i1] = gathered_0;
        }
    }
}
