// sum_rsqrt_mul: 64136 operations, 102400 bytes, parallel
// mul float32[16×8×100]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[16×8×100]
    float *out1 = (float *)arguments[1];  // float32[16×8×100]
    const long last = 8L * (thread + 1) / threads;
    for (long task = 8L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = 0;
        for (long i0 = 0; i0 < 16; i0++) {
            for (long block = 0; block < 64; block += 64) {
                #pragma GCC ivdep
                for (long lane = 0; lane < 64; lane++) {
                    const long i2 = block + lane;
                    const float in0_0 = in0[i0 * 800 + task * 100 + i2];
                    acc_0[lane] = acc_0[lane] + in0_0;
                }
            }
            {
                #pragma GCC ivdep
                for (long lane = 0; lane < 36; lane++) {
                    const long i2 = 64 + lane;
                    const float in0_0 = in0[i0 * 800 + task * 100 + i2];
                    acc_0[lane] = acc_0[lane] + in0_0;
                }
            }
        }
        for (long lane = 0; lane < 32; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 32];
        for (long lane = 0; lane < 16; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 16];
        for (long lane = 0; lane < 8; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 8];
        for (long lane = 0; lane < 4; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 1];
        const float sum_0 = acc_0[0];
        float acc_1[64];
        for (long lane = 0; lane < 64; lane++) acc_1[lane] = 0;
        const float div_0 = (sum_0 / 1600.0f);
        for (long i0 = 0; i0 < 16; i0++) {
            for (long block = 0; block < 64; block += 64) {
                #pragma GCC ivdep
                for (long lane = 0; lane < 64; lane++) {
                    const long i2 = block + lane;
                    const float in0_1 = in0[i0 * 800 + task * 100 + i2];
                    const float sub_0 = (in0_1 - div_0);
                    const float mul_0 = (sub_0 * sub_0);
                    acc_1[lane] = acc_1[lane] + mul_0;
                }
            }
            {
                #pragma GCC ivdep
                for (long lane = 0; lane < 36; lane++) {
                    const long i2 = 64 + lane;
                    const float in0_1 = in0[i0 * 800 + task * 100 + i2];
                    const float sub_0 = (in0_1 - div_0);
                    const float mul_0 = (sub_0 * sub_0);
                    acc_1[lane] = acc_1[lane] + mul_0;
                }
            }
        }
        for (long lane = 0; lane < 32; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 32];
        for (long lane = 0; lane < 16; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 16];
        for (long lane = 0; lane < 8; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 8];
        for (long lane = 0; lane < 4; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 1];
        const float sum_1 = acc_1[0];
        const float div_1 = (sum_1 / 1600.0f);
        const float add_0 = (div_1 + 1e-05f);
        const float rsqrt_0 = (1 / __builtin_sqrtf(add_0));
        for (long i0 = 0; i0 < 16; i0++) {
            for (long block = 0; block < 64; block += 64) {
                #pragma GCC ivdep
                for (long lane = 0; lane < 64; lane++) {
                    const long i2 = block + lane;
                    const float in0_2 = in0[i0 * 800 + task * 100 + i2];
                    const float sub_1 = (in0_2 - div_0);
                    const float mul_1 = (sub_1 * rsqrt_0);
                    out1[i0 * 800 + task * 100 + i2] = mul_1;
                }
            }
            {
                #pragma GCC ivdep
                for (long lane = 0; lane < 36; lane++) {
                    const long i2 = 64 + lane;
                    const float in0_2 = in0[i0 * 800 + task * 100 + i2];
                    const float sub_1 = (in0_2 - div_0);
                    const float mul_1 = (sub_1 * rsqrt_0);
                    out1[i0 * 800 + task * 100 + i2] = mul_1;
                }
            }
        }
    }
}
