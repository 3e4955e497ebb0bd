// shift_left_xor: 90000 operations, 60000 bytes, parallel
// xor int32[5000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const int *in0 = (const int *)arguments[0];  // int32[5000]
    const int *in1 = (const int *)arguments[1];  // int32[5000]
    int *out2 = (int *)arguments[2];  // int32[5000]
    const long last = 2L * (thread + 1) / threads;
    for (long task = 2L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 5000 - i0_start < 4096 ? 5000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const int in0_0 = in0[i0];
                const int in1_0 = in1[i0];
                const int remainder_0 = lt_remainder_i32(in0_0, in1_0);
                const int shift_left_0 = ((unsigned long)3 < 32 ? ((int)((unsigned long)remainder_0 << 3)) : (int)0);
                const int floor_divide_0 = lt_floor_divide_i32(in0_0, in1_0);
                const int xor_0 = (floor_divide_0 ^ shift_left_0);
                out2[i0] = xor_0;
            }
        }
    }
}
