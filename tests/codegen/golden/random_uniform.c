// threefry_mul: 630000 operations, 40008 bytes, parallel
// mul float32[10000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const long *in0 = (const long *)arguments[0];  // int64[scalar]
    float *out1 = (float *)arguments[1];  // float32[10000]
    const long in0_0 = in0[0];
    const long last = 3L * (thread + 1) / threads;
    for (long task = 3L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 10000 - i0_start < 4096 ? 10000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const long position_0 = i0;
                const int threefry_0 = lt_threefry(in0_0, 0L, position_0);
                const int and_0 = (threefry_0 & 16777215);
                const float cast_0 = (float)and_0;
                const float mul_0 = (cast_0 * 5.960464477539063e-08f);
                out1[i0] = mul_0;
            }
        }
    }
}
