// sum: 300000 operations, 603200 bytes, parallel
// sum float32[500]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[500×300]
    const float *in1 = (const float *)arguments[1];  // float32[300]
    float *out2 = (float *)arguments[2];  // float32[500]
    const long last = 125L * (thread + 1) / threads;
    for (long task = 125L * thread / threads; task < last; task++) {
        float acc_0[8];
        for (long lane = 0; lane < 8; lane++) acc_0[lane] = 0;
        float acc_1[8];
        for (long lane = 0; lane < 8; lane++) acc_1[lane] = 0;
        float acc_2[8];
        for (long lane = 0; lane < 8; lane++) acc_2[lane] = 0;
        float acc_3[8];
        for (long lane = 0; lane < 8; lane++) acc_3[lane] = 0;
        for (long block = 0; block < 296; block += 8) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 8; lane++) {
                const long i1 = block + lane;
                const float in0_0 = in0[task * 1200 + i1];
                const float in1_0 = in1[i1];
                const float mul_0 = (in0_0 * in1_0);
                acc_0[lane] = acc_0[lane] + mul_0;
                const float in0_1 = in0[task * 1200 + i1 + 300];
                const float mul_1 = (in0_1 * in1_0);
                acc_1[lane] = acc_1[lane] + mul_1;
                const float in0_2 = in0[task * 1200 + i1 + 600];
                const float mul_2 = (in0_2 * in1_0);
                acc_2[lane] = acc_2[lane] + mul_2;
                const float in0_3 = in0[task * 1200 + i1 + 900];
                const float mul_3 = (in0_3 * in1_0);
                acc_3[lane] = acc_3[lane] + mul_3;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 4; lane++) {
                const long i1 = 296 + lane;
                const float in0_0 = in0[task * 1200 + i1];
                const float in1_0 = in1[i1];
                const float mul_0 = (in0_0 * in1_0);
                acc_0[lane] = acc_0[lane] + mul_0;
                const float in0_1 = in0[task * 1200 + i1 + 300];
                const float mul_1 = (in0_1 * in1_0);
                acc_1[lane] = acc_1[lane] + mul_1;
                const float in0_2 = in0[task * 1200 + i1 + 600];
                const float mul_2 = (in0_2 * in1_0);
                acc_2[lane] = acc_2[lane] + mul_2;
                const float in0_3 = in0[task * 1200 + i1 + 900];
                const float mul_3 = (in0_3 * in1_0);
                acc_3[lane] = acc_3[lane] + mul_3;
            }
        }
        for (long lane = 0; lane < 4; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 1];
        const float sum_0 = acc_0[0];
        out2[task * 4] = sum_0;
        for (long lane = 0; lane < 4; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 1];
        const float sum_1 = acc_1[0];
        out2[task * 4 + 1] = sum_1;
        for (long lane = 0; lane < 4; lane++) acc_2[lane] = acc_2[lane] + acc_2[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_2[lane] = acc_2[lane] + acc_2[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_2[lane] = acc_2[lane] + acc_2[lane + 1];
        const float sum_2 = acc_2[0];
        out2[task * 4 + 2] = sum_2;
        for (long lane = 0; lane < 4; lane++) acc_3[lane] = acc_3[lane] + acc_3[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_3[lane] = acc_3[lane] + acc_3[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_3[lane] = acc_3[lane] + acc_3[lane + 1];
        const float sum_3 = acc_3[0];
        out2[task * 4 + 3] = sum_3;
    }
}
