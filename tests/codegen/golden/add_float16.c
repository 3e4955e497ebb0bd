// add: 70000 operations, 420000 bytes, parallel
// add float16[70000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const _Float16 *in0 = (const _Float16 *)arguments[0];  // float16[70000]
    const _Float16 *in1 = (const _Float16 *)arguments[1];  // float16[70000]
    _Float16 *out2 = (_Float16 *)arguments[2];  // float16[70000]
    const long last = 18L * (thread + 1) / threads;
    for (long task = 18L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 70000 - i0_start < 4096 ? 70000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const float in0_0 = (float)in0[i0];
                const float in1_0 = (float)in1[i0];
                const float add_0 = (float)(_Float16)((in0_0 + in1_0));
                out2[i0] = (_Float16)(add_0);
            }
        }
    }
}
