// exp_mul: 1900057 operations, 800024 bytes, parallel
// mul float32[100003]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[100003]
    float *out1 = (float *)arguments[1];  // float32[100003]
    const long last = 25L * (thread + 1) / threads;
    for (long task = 25L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 100003 - i0_start < 4096 ? 100003 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const float in0_0 = in0[i0];
                const float mul_0 = (in0_0 * in0_0);
                const float neg_0 = ((float)-mul_0);
                const float exp_0 = lt_exp_of_negative_f32(neg_0);
                const float mul_1 = (exp_0 * 0.5f);
                out1[i0] = mul_1;
            }
        }
    }
}
