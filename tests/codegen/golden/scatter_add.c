// scatter_add: 5000 operations, 68000 bytes, serial
// scatter float32[1000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[1000]
    float *out1 = (float *)arguments[1];  // float32[1000]
    const long *in2 = (const long *)arguments[2];  // int64[5000]
    const float *in3 = (const float *)arguments[3];  // float32[5000]
    if (thread == 0) {
        const long task = 0;
        #pragma GCC ivdep
        for (long lane = 0; lane < 1000; lane++) {
            const long element = lane;
            const float in0_0 = in0[element];
            out1[element] = in0_0;
        }
        for (long step = 0; step < 5000; step++) {
            const long in2_0 = in2[step];
            const float in3_0 = in3[step];
            out1[lt_clamp_index(in2_0, 1000)] = (out1[lt_clamp_index(in2_0, 1000)] + in3_0);
        }
    }
}
