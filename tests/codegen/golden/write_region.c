// copy: 0 operations, 80000 bytes, serial
// write float32[100×100]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[100×100]
    float *out1 = (float *)arguments[1];  // float32[100×100]
    const long last = 3L * (thread + 1) / threads;
    for (long task = 3L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 10000 - i0_start < 4096 ? 10000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const float in0_0 = in0[i0];
                out1[i0] = in0_0;
            }
        }
    }
}

// write: 1000 operations, 8000 bytes, serial
// write float32[100×100]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[50×20]
    float *out1 = (float *)arguments[1];  // float32[100×100]
    const long last = 50L * (thread + 1) / threads;
    for (long task = 50L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 20; lane++) {
            const long i1 = lane;
            const float in0_0 = in0[task * 20 + i1];
            const float mul_0 = (in0_0 * in0_0);
            out1[task * 100 + i1 * 2 + 304] = mul_0;
        }
    }
}
