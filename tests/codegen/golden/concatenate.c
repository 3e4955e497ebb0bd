// write: 0 operations, 24000 bytes, serial
// write float32[100×87]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[100×30]
    float *out1 = (float *)arguments[1];  // float32[100×87]
    const long last = 100L * (thread + 1) / threads;
    for (long task = 100L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 30; lane++) {
            const long i1 = lane;
            const float in0_0 = in0[task * 30 + i1];
            out1[task * 87 + i1] = in0_0;
        }
    }
}

// write: 0 operations, 40000 bytes, serial
// write float32[100×87]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[100×50]
    float *out1 = (float *)arguments[1];  // float32[100×87]
    const long last = 100L * (thread + 1) / threads;
    for (long task = 100L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 50; lane++) {
            const long i1 = lane;
            const float in0_0 = in0[task * 50 + i1];
            out1[task * 87 + i1 + 30] = in0_0;
        }
    }
}

// write: 700 operations, 5600 bytes, serial
// write float32[100×87]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[100×7]
    float *out1 = (float *)arguments[1];  // float32[100×87]
    const long last = 100L * (thread + 1) / threads;
    for (long task = 100L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 7; lane++) {
            const long i1 = lane;
            const float in0_0 = in0[task * 7 + i1];
            const float neg_0 = ((float)-in0_0);
            out1[task * 87 + i1 + 80] = neg_0;
        }
    }
}
