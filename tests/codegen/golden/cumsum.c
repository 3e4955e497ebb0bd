// cumsum: 80000 operations, 160000 bytes, parallel
// cumsum float32[40×500]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[40×500]
    float *out1 = (float *)arguments[1];  // float32[40×500]
    const long last = 40L * (thread + 1) / threads;
    for (long task = 40L * thread / threads; task < last; task++) {
        float acc_0[1];
        for (long lane = 0; lane < 1; lane++) acc_0[lane] = 0;
        for (long i0 = 0; i0 < 500; i0++) {
            const float in0_0 = in0[task * 500 + i0];
            acc_0[0] = acc_0[0] + in0_0;
            out1[task * 500 + i0] = acc_0[0];
        }
    }
}
