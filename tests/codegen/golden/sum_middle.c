// sum: 30000 operations, 124000 bytes, serial
// sum float32[20×50]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[20×30×50]
    float *out1 = (float *)arguments[1];  // float32[20×50]
    const long last = 20L * (thread + 1) / threads;
    for (long task = 20L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = 0;
        for (long i1 = 0; i1 < 30; i1++) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 50; lane++) {
                const long i2 = lane;
                const float in0_0 = in0[task * 1500 + i1 * 50 + i2];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        #pragma GCC ivdep
        for (long lane = 0; lane < 50; lane++) {
            const long i2 = lane;
            out1[task * 50 + i2] = acc_0[lane];
        }
    }
}
