// erf_mul: 1277952 operations, 399360 bytes, parallel
// mul float32[64×768]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[64×768]
    const float *in1 = (const float *)arguments[1];  // float32[768]
    const float *in2 = (const float *)arguments[2];  // float32[768]
    float *out3 = (float *)arguments[3];  // float32[64×768]
    const long last = 64L * (thread + 1) / threads;
    for (long task = 64L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 768; lane++) {
            const long i1 = lane;
            const float in0_0 = in0[task * 768 + i1];
            const float in1_0 = in1[i1];
            const float mul_0 = (in0_0 * in1_0);
            const float in2_0 = in2[i1];
            const float add_0 = (mul_0 + in2_0);
            const float mul_1 = (add_0 * 0.7071067811865476f);
            const float erf_0 = lt_erf_f32(mul_1);
            const float mul_2 = (0.5f * add_0);
            const float add_1 = (1.0f + erf_0);
            const float mul_3 = (mul_2 * add_1);
            out3[task * 768 + i1] = mul_3;
        }
    }
}
