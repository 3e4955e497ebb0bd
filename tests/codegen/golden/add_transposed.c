// add: 150000 operations, 1800000 bytes, parallel
// add float32[300×500]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×500]
    const float *in1 = (const float *)arguments[1];  // float32[500×300]
    float *out2 = (float *)arguments[2];  // float32[300×500]
    const long last = 20L * (thread + 1) / threads;
    for (long task = 20L * thread / threads; task < last; task++) {
        {
            const long i0_start = task / 2 * 32;
            const long i0_count = 300 - i0_start < 32 ? 300 - i0_start : 32;
            const long i1_start = task % 2 * 256;
            const long i1_count = 500 - i1_start < 256 ? 500 - i1_start : 256;
            float turned0[8192] __attribute__((aligned(64)));
            lt_lines_turn4(in1 + i1_start * 300 + i0_start, 300, turned0, 256, i1_count, i0_count);
            for (long step = 0; step < i0_count; step++) {
                const long i0 = i0_start + step;
                {
                    const long i1_start = task % 2 * 256;
                    const long i1_count = 500 - i1_start < 256 ? 500 - i1_start : 256;
                    #pragma GCC ivdep
                    for (long lane = 0; lane < i1_count; lane++) {
                        const long i1 = i1_start + lane;
                        const float in0_0 = in0[i0 * 500 + i1];
                        const float in1_0 = turned0[step * 256 + i1 - i1_start];
                        const float add_0 = (in0_0 + in1_0);
                        out2[i0 * 500 + i1] = add_0;
                    }
                }
            }
        }
    }
}
