// sum: 300000 operations, 1204000 bytes, parallel
// sum float32[1000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×1000]
    float *out1 = (float *)arguments[1];  // float32[1000]
    const long last = 16L * (thread + 1) / threads;
    for (long task = 16L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = 0;
        for (long i0 = 0; i0 < 300; i0++) {
            {
                const long i1_start = task * 64;
                const long i1_count = 1000 - i1_start < 64 ? 1000 - i1_start : 64;
                #pragma GCC ivdep
                for (long lane = 0; lane < i1_count; lane++) {
                    const long i1 = i1_start + lane;
                    const float in0_0 = in0[i0 * 1000 + i1];
                    acc_0[lane] = acc_0[lane] + in0_0;
                }
            }
        }
        {
            const long i1_start = task * 64;
            const long i1_count = 1000 - i1_start < 64 ? 1000 - i1_start : 64;
            #pragma GCC ivdep
            for (long lane = 0; lane < i1_count; lane++) {
                const long i1 = i1_start + lane;
                out1[i1] = acc_0[lane];
            }
        }
    }
}
