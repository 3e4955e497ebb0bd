// add: 300000 operations, 2401200 bytes, parallel
// add float32[300×1000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×1000]
    const float *in1 = (const float *)arguments[1];  // float32[300]
    float *out2 = (float *)arguments[2];  // float32[300×1000]
    const long last = 300L * (thread + 1) / threads;
    for (long task = 300L * thread / threads; task < last; task++) {
        const float in1_0 = in1[task];
        #pragma GCC ivdep
        for (long lane = 0; lane < 1000; lane++) {
            const long i1 = lane;
            const float in0_0 = in0[task * 1000 + i1];
            const float add_0 = (in0_0 + in1_0);
            out2[task * 1000 + i1] = add_0;
        }
    }
}
