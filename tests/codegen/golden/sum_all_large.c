// sum: 1000000 operations, 4000160 bytes, parallel
// sum float32[40]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[1000×1000]
    float *out1 = (float *)arguments[1];  // float32[40]
    const long last = 40L * (thread + 1) / threads;
    for (long task = 40L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = 0;
        for (long block = 0; block < 24960; block += 64) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i1 = block + lane;
                const float in0_0 = in0[task * 25000 + i1];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 40; lane++) {
                const long i1 = 24960 + lane;
                const float in0_0 = in0[task * 25000 + i1];
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

// sum_cast: 81 operations, 164 bytes, serial
// cast float32[scalar]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[40]
    float *out1 = (float *)arguments[1];  // float32[scalar]
    if (thread == 0) {
        const long task = 0;
        double acc_0[16];
        for (long lane = 0; lane < 16; lane++) acc_0[lane] = 0;
        for (long block = 0; block < 32; block += 16) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 16; lane++) {
                const long i0 = block + lane;
                const float in0_0 = in0[i0];
                const double cast_0 = (double)in0_0;
                acc_0[lane] = acc_0[lane] + cast_0;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 8; lane++) {
                const long i0 = 32 + lane;
                const float in0_0 = in0[i0];
                const double cast_0 = (double)in0_0;
                acc_0[lane] = acc_0[lane] + cast_0;
            }
        }
        for (long lane = 0; lane < 8; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 8];
        for (long lane = 0; lane < 4; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 1];
        const double sum_0 = acc_0[0];
        const float cast_1 = (float)sum_0;
        out1[0] = cast_1;
    }
}
