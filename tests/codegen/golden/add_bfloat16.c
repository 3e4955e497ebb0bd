// add: 70000 operations, 420000 bytes, parallel
// add bfloat16[70000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const unsigned short *in0 = (const unsigned short *)arguments[0];  // bfloat16[70000]
    const unsigned short *in1 = (const unsigned short *)arguments[1];  // bfloat16[70000]
    unsigned short *out2 = (unsigned short *)arguments[2];  // bfloat16[70000]
    const long last = 18L * (thread + 1) / threads;
    for (long task = 18L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 70000 - i0_start < 4096 ? 70000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const unsigned short in0_0_bits = in0[i0];
                const float in0_0 = lt_bf16_to_f32(in0_0_bits);
                const unsigned short in1_0_bits = in1[i0];
                const float in1_0 = lt_bf16_to_f32(in1_0_bits);
                const unsigned short add_0_bits = lt_f32_to_bf16((in0_0 + in1_0));
                const float add_0 = lt_bf16_to_f32(add_0_bits);
                out2[i0] = add_0_bits;
            }
        }
    }
}
