// copy: 0 operations, 8000 bytes, serial
// scatter float32[1000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[1000]
    float *out1 = (float *)arguments[1];  // float32[1000]
    if (thread == 0) {
        const long task = 0;
        #pragma GCC ivdep
        for (long lane = 0; lane < 1000; lane++) {
            const long i0 = lane;
            const float in0_0 = in0[i0];
            out1[i0] = in0_0;
        }
    }
}

// scatter_add: 5000 operations, 60000 bytes, serial
// scatter float32[1000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const long *in0 = (const long *)arguments[0];  // int64[5000]
    const float *in1 = (const float *)arguments[1];  // float32[5000]
    float *out2 = (float *)arguments[2];  // float32[1000]
    for (long i0 = 0; i0 < 5000; i0++) {
        const long in0_0 = in0[i0];
        const float in1_0 = in1[i0];
        out2[lt_clamp_index(in0_0, 1000)] = (out2[lt_clamp_index(in0_0, 1000)] + in1_0);
    }
}
