// scatter_add: 128000 operations, 2048000 bytes, parallel
// scatter float32[1000×64]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    float *out0 = (float *)arguments[0];  // float32[1000×64]
    const long *in1 = (const long *)arguments[1];  // int64[2000]
    const float *in2 = (const float *)arguments[2];  // float32[2000×64]
    const long last = 2L * (thread + 1) / threads;
    for (long task = 2L * thread / threads; task < last; task++) {
        for (long row = 0; row < 1000; row++) {
            {
                const long column_start = task * 32;
                #pragma GCC ivdep
                for (long lane = 0; lane < 32; lane++) {
                    const long column = column_start + lane;
                    out0[row * 64 + column] = 0.0f;
                }
            }
        }
        for (long step = 0; step < 2000; step++) {
            const long in1_0 = in1[step];
            {
                const long column_start = task * 32;
                #pragma GCC ivdep
                for (long lane = 0; lane < 32; lane++) {
                    const long column = column_start + lane;
                    const float in2_0 = in2[step * 64 + column];
                    out0[lt_clamp_index(in1_0, 1000) * 64 + column] = (out0[lt_clamp_index(in1_0, 1000) * 64 + column] + in2_0);
                }
            }
        }
    }
}
