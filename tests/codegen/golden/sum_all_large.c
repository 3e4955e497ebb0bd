// sum: 990000 operations, 4000120 bytes, parallel
// sum float32[30]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[1000×1000]
    float *out1 = (float *)arguments[1];  // float32[30]
    const long last = 30L * (thread + 1) / threads;
    for (long task = 30L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = 0;
        for (long block = 0; block < 32960; block += 64) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i1 = block + lane;
                const float in0_0 = in0[task * 33000 + i1];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 40; lane++) {
                const long i1 = 32960 + lane;
                const float in0_0 = in0[task * 33000 + i1];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        for (long half = 32; half > 0; half /= 2)
            for (long lane = 0; lane < half; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + half];
        const float sum_0 = acc_0[0];
        out1[task] = sum_0;
    }
}

// sum: 30 operations, 128 bytes, serial
// sum float64[scalar]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[30]
    double *out1 = (double *)arguments[1];  // float64[scalar]
    if (thread == 0) {
        const long task = 0;
        double acc_0[16];
        for (long lane = 0; lane < 16; lane++) acc_0[lane] = 0;
        for (long block = 0; block < 16; block += 16) {
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
            for (long lane = 0; lane < 14; lane++) {
                const long i0 = 16 + lane;
                const float in0_0 = in0[i0];
                const double cast_0 = (double)in0_0;
                acc_0[lane] = acc_0[lane] + cast_0;
            }
        }
        for (long half = 8; half > 0; half /= 2)
            for (long lane = 0; lane < half; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + half];
        const double sum_0 = acc_0[0];
        out1[0] = sum_0;
    }
}

// sum_add: 10001 operations, 4000012 bytes, parallel
// add float32[scalar]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[1000×1000]
    const double *in1 = (const double *)arguments[1];  // float64[scalar]
    float *out2 = (float *)arguments[2];  // float32[scalar]
    const double in1_0 = in1[0];
    const float cast_0 = (float)in1_0;
    if (thread == 0) {
        const long task = 0;
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = 0;
        for (long block = 0; block < 9984; block += 64) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i0 = block + lane;
                const float in0_0 = in0[i0 + 990000];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 16; lane++) {
                const long i0 = 9984 + lane;
                const float in0_0 = in0[i0 + 990000];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        for (long half = 32; half > 0; half /= 2)
            for (long lane = 0; lane < half; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + half];
        const float sum_0 = acc_0[0];
        const float add_0 = (cast_0 + sum_0);
        out2[0] = add_0;
    }
}
