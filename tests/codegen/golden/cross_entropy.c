// log_where_sum: 31488 operations, 6656 bytes, serial
// sum float32[128]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[128×10]
    const long *in1 = (const long *)arguments[1];  // int64[128]
    float *out2 = (float *)arguments[2];  // float32[128]
    const long last = 2L * (thread + 1) / threads;
    for (long task = 2L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = -__builtin_inff();
        for (long i1 = 0; i1 < 10; i1++) {
            {
                const long i0_start = task * 64;
                #pragma GCC ivdep
                for (long lane = 0; lane < 64; lane++) {
                    const long i0 = i0_start + lane;
                    const float in0_0 = in0[i0 * 10 + i1];
                    const float acc_0_old = acc_0[lane];
                    const float acc_0_best = in0_0 > acc_0_old ? in0_0 : acc_0_old;
                    acc_0[lane] = in0_0 != in0_0 ? in0_0 : acc_0_best;
                }
            }
        }
        float acc_1[64];
        for (long lane = 0; lane < 64; lane++) acc_1[lane] = 0;
        for (long i1 = 0; i1 < 10; i1++) {
            {
                const long i0_start = task * 64;
                #pragma GCC ivdep
                for (long lane = 0; lane < 64; lane++) {
                    const long i0 = i0_start + lane;
                    const float in0_1 = in0[i0 * 10 + i1];
                    const float sub_0 = (in0_1 - acc_0[lane]);
                    const float exp_0 = lt_exp_of_negative_f32(sub_0);
                    acc_1[lane] = acc_1[lane] + exp_0;
                }
            }
        }
        float row_0[64];
        {
            const long i0_start = task * 64;
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i0 = i0_start + lane;
                const float log_0 = lt_log_f32(acc_1[lane]);
                row_0[lane] = log_0;
            }
        }
        float acc_2[64];
        for (long lane = 0; lane < 64; lane++) acc_2[lane] = 0;
        for (long i1 = 0; i1 < 10; i1++) {
            const long position_0 = i1;
            {
                const long i0_start = task * 64;
                #pragma GCC ivdep
                for (long lane = 0; lane < 64; lane++) {
                    const long i0 = i0_start + lane;
                    const long in1_0 = in1[i0];
                    const _Bool eq_0 = (position_0 == in1_0);
                    const float in0_2 = in0[i0 * 10 + i1];
                    const float sub_1 = (in0_2 - acc_0[lane]);
                    const float sub_2 = (sub_1 - row_0[lane]);
                    const float where_0 = (eq_0 ? sub_2 : 0.0f);
                    acc_2[lane] = acc_2[lane] + where_0;
                }
            }
        }
        {
            const long i0_start = task * 64;
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i0 = i0_start + lane;
                out2[i0] = acc_2[lane];
            }
        }
    }
}

// sum_neg: 133 operations, 516 bytes, serial
// neg float32[scalar]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[128]
    float *out1 = (float *)arguments[1];  // float32[scalar]
    if (thread == 0) {
        const long task = 0;
        float acc_0[16];
        for (long lane = 0; lane < 16; lane++) acc_0[lane] = 0;
        for (long block = 0; block < 128; block += 16) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 16; lane++) {
                const long i0 = block + lane;
                const float in0_0 = in0[i0];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        for (long lane = 0; lane < 8; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 8];
        for (long lane = 0; lane < 4; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 1];
        const float sum_0 = acc_0[0];
        const float div_0 = (sum_0 / 128.0f);
        const float neg_0 = ((float)-div_0);
        out1[0] = neg_0;
    }
}
