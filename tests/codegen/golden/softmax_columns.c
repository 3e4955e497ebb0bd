// exp_sum_div: 2944000 operations, 1024000 bytes, parallel
// div float32[256×500]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[256×500]
    float *out1 = (float *)arguments[1];  // float32[256×500]
    const long last = 8L * (thread + 1) / threads;
    for (long task = 8L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = -__builtin_inff();
        for (long i0 = 0; i0 < 256; i0++) {
            {
                const long i1_start = task * 64;
                const long i1_count = 500 - i1_start < 64 ? 500 - i1_start : 64;
                #pragma GCC ivdep
                for (long lane = 0; lane < i1_count; lane++) {
                    const long i1 = i1_start + lane;
                    const float in0_0 = in0[i0 * 500 + i1];
                    const float acc_0_old = acc_0[lane];
                    const float acc_0_best = in0_0 > acc_0_old ? in0_0 : acc_0_old;
                    acc_0[lane] = in0_0 != in0_0 ? in0_0 : acc_0_best;
                }
            }
        }
        float acc_1[64];
        for (long lane = 0; lane < 64; lane++) acc_1[lane] = 0;
        float *row_0 = (float *)(scratch + 0);
        for (long i0 = 0; i0 < 256; i0++) {
            {
                const long i1_start = task * 64;
                const long i1_count = 500 - i1_start < 64 ? 500 - i1_start : 64;
                #pragma GCC ivdep
                for (long lane = 0; lane < i1_count; lane++) {
                    const long i1 = i1_start + lane;
                    const float in0_1 = in0[i0 * 500 + i1];
                    const float sub_0 = (in0_1 - acc_0[lane]);
                    const float exp_0 = lt_exp_of_negative_f32(sub_0);
                    row_0[i0 * 64 + lane] = exp_0;
                    acc_1[lane] = acc_1[lane] + exp_0;
                }
            }
        }
        for (long i0 = 0; i0 < 256; i0++) {
            {
                const long i1_start = task * 64;
                const long i1_count = 500 - i1_start < 64 ? 500 - i1_start : 64;
                #pragma GCC ivdep
                for (long lane = 0; lane < i1_count; lane++) {
                    const long i1 = i1_start + lane;
                    const float div_0 = (row_0[i0 * 64 + lane] / acc_1[lane]);
                    out1[i0 * 500 + i1] = div_0;
                }
            }
        }
    }
}
