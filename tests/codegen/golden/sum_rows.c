// sum: 300000 operations, 1201200 bytes, parallel
// sum float32[300]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×1000]
    float *out1 = (float *)arguments[1];  // float32[300]
    const long last = 300L * (thread + 1) / threads;
    for (long task = 300L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = 0;
        for (long block = 0; block < 960; block += 64) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i1 = block + lane;
                const float in0_0 = in0[task * 1000 + i1];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 40; lane++) {
                const long i1 = 960 + lane;
                const float in0_0 = in0[task * 1000 + i1];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        for (long lane = 0; lane < 32; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 32];
        for (long lane = 0; lane < 16; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 16];
        for (long lane = 0; lane < 8; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 8];
        for (long lane = 0; lane < 4; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 1];
        const float sum_0 = acc_0[0];
        out1[task] = sum_0;
    }
}
