// add_div_sub: 360000 operations, 560000 bytes, parallel
// add float32[20000]
// add float32[20000]
// sub float32[20000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[20000]
    const float *in1 = (const float *)arguments[1];  // float32[20000]
    float *out2 = (float *)arguments[2];  // float32[20000]
    const float *in3 = (const float *)arguments[3];  // float32[20000]
    float *out4 = (float *)arguments[4];  // float32[20000]
    const float *in5 = (const float *)arguments[5];  // float32[20000]
    float *out6 = (float *)arguments[6];  // float32[20000]
    const long last = 5L * (thread + 1) / threads;
    for (long task = 5L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 20000 - i0_start < 4096 ? 20000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const float in0_0 = in0[i0];
                const float mul_0 = (in0_0 * 0.9f);
                const float in1_0 = in1[i0];
                const float mul_1 = (in1_0 * 0.1f);
                const float add_0 = (mul_0 + mul_1);
                out2[i0] = add_0;
                const float in3_0 = in3[i0];
                const float mul_2 = (in3_0 * 0.99f);
                const float mul_3 = (in1_0 * in1_0);
                const float mul_4 = (mul_3 * 0.01f);
                const float add_1 = (mul_2 + mul_4);
                out4[i0] = add_1;
                const float sqrt_0 = __builtin_sqrtf(add_1);
                const float add_2 = (sqrt_0 + 1e-08f);
                const float div_0 = (add_0 / add_2);
                const float in5_0 = in5[i0];
                const float mul_5 = (div_0 * 0.001f);
                const float sub_0 = (in5_0 - mul_5);
                out6[i0] = sub_0;
            }
        }
    }
}
