// scatter_add: 50000 operations, 680000 bytes, parallel
// scatter float32[10000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[10000]
    float *out1 = (float *)arguments[1];  // float32[10000]
    const long *in2 = (const long *)arguments[2];  // int64[50000]
    const float *in3 = (const float *)arguments[3];  // float32[50000]
    const long last = 2L * (thread + 1) / threads;
    for (long task = 2L * thread / threads; task < last; task++) {
        {
            const long element_start = task * 5000;
            #pragma GCC ivdep
            for (long lane = 0; lane < 5000; lane++) {
                const long element = element_start + lane;
                const float in0_0 = in0[element];
                out1[element] = in0_0;
            }
        }
        for (long step_first = 0; step_first < 50000; step_first += 256) {
            long step_steps[256], places[256], step_count = 0;
            const long step_end = step_first + 256 < 50000 ? step_first + 256 : 50000;
            #pragma GCC ivdep
            for (long step = step_first; step < step_end; step++) {
                const long in2_0 = in2[step];
                places[step - step_first] = lt_clamp_index(in2_0, 10000);
            }
            for (long step = step_first; step < step_end; step++) {
                const long place = places[step - step_first];
                step_steps[step_count] = step;
                places[step_count] = place;
                step_count += (unsigned long)(place - (task * 5000)) < 5000;
            }
            for (long chosen = 0; chosen < step_count; chosen++) {
                const long step = step_steps[chosen], place = places[chosen];
                const float in3_0 = in3[step];
                out1[place] = (out1[place] + in3_0);
            }
        }
    }
}
