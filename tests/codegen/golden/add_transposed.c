// add: 150000 operations, 1800000 bytes, parallel
// add float32[300×500]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×500]
    const float *in1 = (const float *)arguments[1];  // float32[500×300]
    float *out2 = (float *)arguments[2];  // float32[300×500]
    const long last = 300L * (thread + 1) / threads;
    for (long task = 300L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 500; lane++) {
            const long i1 = lane;
            const float in0_0 = in0[task * 500 + i1];
            const float in1_0 = in1[i1 * 300 + task];
            const float add_0 = (in0_0 + in1_0);
            out2[task * 500 + i1] = add_0;
        }
    }
}
