// rsqrt_mul_add: 1380608 operations, 1579008 bytes, parallel
// add float32[256×768]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[256×768]
    const float *in1 = (const float *)arguments[1];  // float32[768]
    const float *in2 = (const float *)arguments[2];  // float32[768]
    float *out3 = (float *)arguments[3];  // float32[256×768]
    const long last = 256L * (thread + 1) / threads;
    for (long task = 256L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = 0;
        for (long block = 0; block < 768; block += 64) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i1 = block + lane;
                const float in0_0 = in0[task * 768 + i1];
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
        float acc_1[64];
        for (long lane = 0; lane < 64; lane++) acc_1[lane] = 0;
        const float div_0 = (sum_0 / 768.0f);
        for (long block = 0; block < 768; block += 64) {
            __builtin_prefetch(in0 + task * 768 + block + 768);
            __builtin_prefetch(in0 + task * 768 + block + 784);
            __builtin_prefetch(in0 + task * 768 + block + 800);
            __builtin_prefetch(in0 + task * 768 + block + 816);
            __builtin_prefetch(out3 + task * 768 + block, 1);
            __builtin_prefetch(out3 + task * 768 + block + 16, 1);
            __builtin_prefetch(out3 + task * 768 + block + 32, 1);
            __builtin_prefetch(out3 + task * 768 + block + 48, 1);
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i1 = block + lane;
                const float in0_1 = in0[task * 768 + i1];
                const float sub_0 = (in0_1 - div_0);
                const float mul_0 = (sub_0 * sub_0);
                acc_1[lane] = acc_1[lane] + mul_0;
            }
        }
        for (long lane = 0; lane < 32; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 32];
        for (long lane = 0; lane < 16; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 16];
        for (long lane = 0; lane < 8; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 8];
        for (long lane = 0; lane < 4; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_1[lane] = acc_1[lane] + acc_1[lane + 1];
        const float sum_1 = acc_1[0];
        const float div_1 = (sum_1 / 768.0f);
        const float add_0 = (div_1 + 1e-05f);
        const float rsqrt_0 = (1 / __builtin_sqrtf(add_0));
        for (long block = 0; block < 768; block += 64) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i1 = block + lane;
                const float in0_2 = in0[task * 768 + i1];
                const float sub_1 = (in0_2 - div_0);
                const float mul_1 = (sub_1 * rsqrt_0);
                const float in1_0 = in1[i1];
                const float mul_2 = (mul_1 * in1_0);
                const float in2_0 = in2[i1];
                const float add_1 = (mul_2 + in2_0);
                out3[task * 768 + i1] = add_1;
            }
        }
    }
}
