// scatter_add: 80000 operations, 1472000 bytes, parallel
// scatter float32[16×4000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    float *out0 = (float *)arguments[0];  // float32[16×4000]
    const long *in1 = (const long *)arguments[1];  // int64[16×5000]
    const float *in2 = (const float *)arguments[2];  // float32[16×5000]
    const long last = 16L * (thread + 1) / threads;
    for (long task = 16L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 4000; lane++) {
            const long element = lane;
            out0[task * 4000 + element] = 0.0f;
        }
        for (long step = 0; step < 5000; step++) {
            const long in1_0 = in1[task * 5000 + step];
            const float in2_0 = in2[task * 5000 + step];
            out0[lt_clamp_index(in1_0, 4000) + task * 4000] = (out0[lt_clamp_index(in1_0, 4000) + task * 4000] + in2_0);
        }
    }
}
