// write: 24576 operations, 393216 bytes, parallel
// write float32[256×192]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[256×96]
    float *out1 = (float *)arguments[1];  // float32[256×192]
    const float *in2 = (const float *)arguments[2];  // float32[256×96]
    const long last = 256L * (thread + 1) / threads;
    for (long task = 256L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 96; lane++) {
            const long i1 = lane;
            const float in0_0 = in0[task * 96 + i1];
            out1[task * 192 + i1] = in0_0;
            const float in2_0 = in2[task * 96 + i1];
            const float neg_0 = ((float)-in2_0);
            out1[task * 192 + i1 + 96] = neg_0;
        }
    }
}
