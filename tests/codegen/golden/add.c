// add: 300000 operations, 3600000 bytes, parallel
// add float32[300×1000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×1000]
    const float *in1 = (const float *)arguments[1];  // float32[300×1000]
    float *out2 = (float *)arguments[2];  // float32[300×1000]
    const long last = 74L * (thread + 1) / threads;
    for (long task = 74L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 300000 - i0_start < 4096 ? 300000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const float in0_0 = in0[i0];
                const float in1_0 = in1[i0];
                const float add_0 = (in0_0 + in1_0);
                out2[i0] = add_0;
            }
        }
    }
}
