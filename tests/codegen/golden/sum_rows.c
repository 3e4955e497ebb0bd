// sum: 300000 operations, 1201200 bytes, parallel
// sum float32[300]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×1000]
    float *out1 = (float *)arguments[1];  // float32[300]
    const long last = 75L * (thread + 1) / threads;
    for (long task = 75L * thread / threads; task < last; task++) {
        float acc_0[8];
        for (long lane = 0; lane < 8; lane++) acc_0[lane] = 0;
        float acc_1[8];
        for (long lane = 0; lane < 8; lane++) acc_1[lane] = 0;
        float acc_2[8];
        for (long lane = 0; lane < 8; lane++) acc_2[lane] = 0;
        float acc_3[8];
        for (long lane = 0; lane < 8; lane++) acc_3[lane] = 0;
        for (long block = 0; block < 1000; block += 8) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 8; lane++) {
                const long i1 = block + lane;
                const float in0_0 = in0[task * 4000 + i1];
                acc_0[lane] = acc_0[lane] + in0_0;
                const float in0_1 = in0[task * 4000 + i1 + 1000];
                acc_1[lane] = acc_1[lane] + in0_1;
                const float in0_2 = in0[task * 4000 + i1 + 2000];
                acc_2[lane] = acc_2[lane] + in0_2;
                const float in0_3 = in0[task * 4000 + i1 + 3000];
                acc_3[lane] = acc_3[lane] + in0_3;
            }
        }
        for (long lane = 0; lane < 4; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 1];
        const float sum_0 = acc_0[0];
        out1[task * 4] = sum_0;
        for (long lane = 0; lane < 4; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 1];
        const float sum_1 = acc_1[0];
        out1[task * 4 + 1] = sum_1;
        for (long lane = 0; lane < 4; lane++) acc_2[lane] = acc_2[lane] + acc_2[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_2[lane] = acc_2[lane] + acc_2[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_2[lane] = acc_2[lane] + acc_2[lane + 1];
        const float sum_2 = acc_2[0];
        out1[task * 4 + 2] = sum_2;
        for (long lane = 0; lane < 4; lane++) acc_3[lane] = acc_3[lane] + acc_3[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_3[lane] = acc_3[lane] + acc_3[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_3[lane] = acc_3[lane] + acc_3[lane + 1];
        const float sum_3 = acc_3[0];
        out1[task * 4 + 3] = sum_3;
    }
}
