// mul: 210000 operations, 560000 bytes, parallel
// mul float32[70000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[70000]
    float *out1 = (float *)arguments[1];  // float32[70000]
    const long last = 18L * (thread + 1) / threads;
    for (long task = 18L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 70000 - i0_start < 4096 ? 70000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const float in0_0 = in0[i0];
                const _Bool gt_0 = (in0_0 > 0.5f);
                const float cast_0 = (gt_0 ? (float)1 : (float)0);
                const float mul_0 = (cast_0 * in0_0);
                out1[i0] = mul_0;
            }
        }
    }
}
