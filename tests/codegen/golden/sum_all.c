// sum: 10000 operations, 40004 bytes, serial
// sum float32[scalar]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[100×100]
    float *out1 = (float *)arguments[1];  // float32[scalar]
    if (thread == 0) {
        const long task = 0;
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = 0;
        for (long block = 0; block < 9984; block += 64) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 64; lane++) {
                const long i0 = block + lane;
                const float in0_0 = in0[i0];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        {
            #pragma GCC ivdep
            for (long lane = 0; lane < 16; lane++) {
                const long i0 = 9984 + lane;
                const float in0_0 = in0[i0];
                acc_0[lane] = acc_0[lane] + in0_0;
            }
        }
        for (long lane = 0; lane < 32; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 32];
        for (long lane = 0; lane < 16; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 16];
        for (long lane = 0; lane < 8; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 8];
        for (long lane = 0; lane < 4; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 4];
        for (long lane = 0; lane < 2; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 2];
        for (long lane = 0; lane < 1; lane++) acc_0[lane] = acc_0[lane] + acc_0[lane + 1];
        const float sum_0 = acc_0[0];
        out1[0] = sum_0;
    }
}
