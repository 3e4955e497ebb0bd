// exp_sum_div: 2944000 operations, 1024000 bytes, parallel
// div float32[256×500]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[256×500]
    float *out1 = (float *)arguments[1];  // float32[256×500]
    const long last = 256L * (thread + 1) / threads;
    for (long task = 256L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = -__builtin_inff();
        for (long block = 0; block < 448; block += 64) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i1 = block + lane;
                const float in0_0 = in0[task * 500 + i1];
                const float acc_0_old = acc_0[lane];
                const float acc_0_best = in0_0 > acc_0_old ? in0_0 : acc_0_old;
                acc_0[lane] = in0_0 != in0_0 ? in0_0 : acc_0_best;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 52; lane++) {
                const long i1 = 448 + lane;
                const float in0_0 = in0[task * 500 + i1];
                const float acc_0_old = acc_0[lane];
                const float acc_0_best = in0_0 > acc_0_old ? in0_0 : acc_0_old;
                acc_0[lane] = in0_0 != in0_0 ? in0_0 : acc_0_best;
            }
        }
        for (long lane = 0; lane < 32; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 32] > acc_0_old ? acc_0[lane + 32] : acc_0_old; acc_0[lane] = acc_0[lane + 32] != acc_0[lane + 32] ? acc_0[lane + 32] : acc_0_best; }
        for (long lane = 0; lane < 16; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 16] > acc_0_old ? acc_0[lane + 16] : acc_0_old; acc_0[lane] = acc_0[lane + 16] != acc_0[lane + 16] ? acc_0[lane + 16] : acc_0_best; }
        for (long lane = 0; lane < 8; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 8] > acc_0_old ? acc_0[lane + 8] : acc_0_old; acc_0[lane] = acc_0[lane + 8] != acc_0[lane + 8] ? acc_0[lane + 8] : acc_0_best; }
        for (long lane = 0; lane < 4; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 4] > acc_0_old ? acc_0[lane + 4] : acc_0_old; acc_0[lane] = acc_0[lane + 4] != acc_0[lane + 4] ? acc_0[lane + 4] : acc_0_best; }
        for (long lane = 0; lane < 2; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 2] > acc_0_old ? acc_0[lane + 2] : acc_0_old; acc_0[lane] = acc_0[lane + 2] != acc_0[lane + 2] ? acc_0[lane + 2] : acc_0_best; }
        for (long lane = 0; lane < 1; lane++) { const float acc_0_old = acc_0[lane]; const float acc_0_best = acc_0[lane + 1] > acc_0_old ? acc_0[lane + 1] : acc_0_old; acc_0[lane] = acc_0[lane + 1] != acc_0[lane + 1] ? acc_0[lane + 1] : acc_0_best; }
        const float max_0 = acc_0[0];
        float acc_1[64];
        for (long lane = 0; lane < 64; lane++) acc_1[lane] = 0;
        float row_0[500];
        for (long block = 0; block < 448; block += 64) {
            __builtin_prefetch(in0 + task * 500 + block + 500);
            __builtin_prefetch(in0 + task * 500 + block + 516);
            __builtin_prefetch(in0 + task * 500 + block + 532);
            __builtin_prefetch(in0 + task * 500 + block + 548);
            __builtin_prefetch(out1 + task * 500 + block + 500, 1);
            __builtin_prefetch(out1 + task * 500 + block + 516, 1);
            __builtin_prefetch(out1 + task * 500 + block + 532, 1);
            __builtin_prefetch(out1 + task * 500 + block + 548, 1);
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i1 = block + lane;
                const float in0_1 = in0[task * 500 + i1];
                const float sub_0 = (in0_1 - max_0);
                const float exp_0 = lt_exp_of_negative_f32(sub_0);
                row_0[i1] = exp_0;
                acc_1[lane] = acc_1[lane] + exp_0;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 52; lane++) {
                const long i1 = 448 + lane;
                const float in0_1 = in0[task * 500 + i1];
                const float sub_0 = (in0_1 - max_0);
                const float exp_0 = lt_exp_of_negative_f32(sub_0);
                row_0[i1] = exp_0;
                acc_1[lane] = acc_1[lane] + exp_0;
            }
        }
        for (long lane = 0; lane < 32; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 32];
        for (long lane = 0; lane < 16; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 16];
        for (long lane = 0; lane < 8; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 8];
        for (long lane = 0; lane < 4; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 1];
        const float sum_0 = acc_1[0];
        for (long block = 0; block < 448; block += 64) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i1 = block + lane;
                const float div_0 = (row_0[i1] / sum_0);
                out1[task * 500 + i1] = div_0;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 52; lane++) {
                const long i1 = 448 + lane;
                const float div_0 = (row_0[i1] / sum_0);
                out1[task * 500 + i1] = div_0;
            }
        }
    }
}
