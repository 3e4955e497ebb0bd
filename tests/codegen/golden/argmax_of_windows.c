// argmax: 204800 operations, 107008 bytes, parallel
// argmax int64[8×32×32]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[8×36×36]
    long *out1 = (long *)arguments[1];  // int64[8×32×32]
    const long last = 256L * (thread + 1) / threads;
    for (long task = 256L * thread / threads; task < last; task++) {
        float acc_0[64];
        for (long lane = 0; lane < 64; lane++) acc_0[lane] = -__builtin_inff();
        long acc_0_at[64];
        for (long lane = 0; lane < 64; lane++) acc_0_at[lane] = -1;
        for (long i3 = 0; i3 < 25; i3++) {
            #pragma GCC ivdep
            for (long lane = 0; lane < 32; lane++) {
                const long i2 = lane;
                const float in0_0 = in0[task / 32 * 1296 + i3 / 5 * 36 + task % 32 * 36 + i3 % 5 + i2];
                const float acc_0_old = acc_0[lane];
                const long acc_0_at_old = acc_0_at[lane];
                const _Bool acc_0_better = acc_0_at_old < 0 || in0_0 > acc_0_old || (in0_0 != in0_0 && acc_0_old == acc_0_old);
                acc_0[lane] = acc_0_better ? in0_0 : acc_0_old;
                acc_0_at[lane] = acc_0_better ? i3 : acc_0_at_old;
            }
        }
        #pragma GCC ivdep
        for (long lane = 0; lane < 32; lane++) {
            const long i2 = lane;
            out1[task * 32 + i2] = acc_0_at[lane];
        }
    }
}
