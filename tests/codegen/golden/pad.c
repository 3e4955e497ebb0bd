// pad: 6656 operations, 50624 bytes, serial
// pad float32[64×104]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[60×100]
    float *out1 = (float *)arguments[1];  // float32[64×104]
    const long last = 64L * (thread + 1) / threads;
    for (long task = 64L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 104; lane++) {
            const long i1 = lane;
            const float in0_0 = task >= 2 && task < 62 && i1 >= 2 && i1 < 102 ? in0[task * 100 + i1 - 202] : 0;
            out1[task * 104 + i1] = in0_0;
        }
    }
}
