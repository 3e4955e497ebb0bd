// max_argmax: 40000 operations, 82400 bytes, serial
// max float32[200]
// argmax int64[200]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[200×100]
    float *out1 = (float *)arguments[1];  // float32[200]
    long *out2 = (long *)arguments[2];  // int64[200]
    const long last = 200L * (thread + 1) / threads;
    for (long task = 200L * thread / threads; task < last; task++) {
        float acc_0[16];
        for (long lane = 0; lane < 16; lane++) acc_0[lane] = -__builtin_inff();
        float acc_1[16];
        for (long lane = 0; lane < 16; lane++) acc_1[lane] = -__builtin_inff();
        long acc_1_at[16];
        for (long lane = 0; lane < 16; lane++) acc_1_at[lane] = -1;
        for (long block = 0; block < 96; block += 16) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 16; lane++) {
                const long i1 = block + lane;
                const float in0_0 = in0[task * 100 + i1];
                const float acc_0_old = acc_0[lane];
                const float acc_0_best = in0_0 > acc_0_old ? in0_0 : acc_0_old;
                acc_0[lane] = in0_0 != in0_0 ? in0_0 : acc_0_best;
                const float acc_1_old = acc_1[lane];
                const long acc_1_at_old = acc_1_at[lane];
                const _Bool acc_1_better = acc_1_at_old < 0 || in0_0 > acc_1_old || (in0_0 != in0_0 && acc_1_old == acc_1_old);
                acc_1[lane] = acc_1_better ? in0_0 : acc_1_old;
                acc_1_at[lane] = acc_1_better ? i1 : acc_1_at_old;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 4; lane++) {
                const long i1 = 96 + lane;
                const float in0_0 = in0[task * 100 + i1];
                const float acc_0_old = acc_0[lane];
                const float acc_0_best = in0_0 > acc_0_old ? in0_0 : acc_0_old;
                acc_0[lane] = in0_0 != in0_0 ? in0_0 : acc_0_best;
                const float acc_1_old = acc_1[lane];
                const long acc_1_at_old = acc_1_at[lane];
                const _Bool acc_1_better = acc_1_at_old < 0 || in0_0 > acc_1_old || (in0_0 != in0_0 && acc_1_old == acc_1_old);
                acc_1[lane] = acc_1_better ? in0_0 : acc_1_old;
                acc_1_at[lane] = acc_1_better ? i1 : acc_1_at_old;
            }
        }
        for (long lane = 0; lane < 8; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 8] > acc_0_old ? acc_0[lane + 8] : acc_0_old; acc_0[lane] = acc_0[lane + 8] != acc_0[lane + 8] ? acc_0[lane + 8] : acc_0_best; }
        for (long lane = 0; lane < 4; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 4] > acc_0_old ? acc_0[lane + 4] : acc_0_old; acc_0[lane] = acc_0[lane + 4] != acc_0[lane + 4] ? acc_0[lane + 4] : acc_0_best; }
        for (long lane = 0; lane < 2; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 2] > acc_0_old ? acc_0[lane + 2] : acc_0_old; acc_0[lane] = acc_0[lane + 2] != acc_0[lane + 2] ? acc_0[lane + 2] : acc_0_best; }
        for (long lane = 0; lane < 1; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 1] > acc_0_old ? acc_0[lane + 1] : acc_0_old; acc_0[lane] = acc_0[lane + 1] != acc_0[lane + 1] ? acc_0[lane + 1] : acc_0_best; }
        const float max_0 = acc_0[0];
        long argmax_0_lane = 0;
        for (long lane = 1; lane < 16; lane++)
            if (acc_1_at[lane] >= 0 && (acc_1[lane] > acc_1[argmax_0_lane] || (acc_1[lane] != acc_1[lane] && acc_1[argmax_0_lane] == acc_1[argmax_0_lane]) || ((acc_1[lane] == acc_1[argmax_0_lane] || (acc_1[lane] != acc_1[lane] && acc_1[argmax_0_lane] != acc_1[argmax_0_lane])) && acc_1_at[lane] < acc_1_at[argmax_0_lane])))
                argmax_0_lane = lane;
        const long argmax_0 = acc_1_at[argmax_0_lane];
        out1[task] = max_0;
        out2[task] = argmax_0;
    }
}
