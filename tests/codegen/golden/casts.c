// cast: 35000 operations, 150000 bytes, parallel
// cast float64[5000]
// cast float16[5000]
// cast bfloat16[5000]
// cast int64[5000]
// cast int32[5000]
// cast uint8[5000]
// cast bool[5000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[5000]
    double *out1 = (double *)arguments[1];  // float64[5000]
    unsigned short *out2 = (unsigned short *)arguments[2];  // float16[5000]
    unsigned short *out3 = (unsigned short *)arguments[3];  // bfloat16[5000]
    long *out4 = (long *)arguments[4];  // int64[5000]
    int *out5 = (int *)arguments[5];  // int32[5000]
    unsigned char *out6 = (unsigned char *)arguments[6];  // uint8[5000]
    unsigned char *out7 = (unsigned char *)arguments[7];  // bool[5000]
    const long last = 2L * (thread + 1) / threads;
    for (long task = 2L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 5000 - i0_start < 4096 ? 5000 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const float in0_0 = in0[i0];
                const double cast_0 = (double)in0_0;
                out1[i0] = cast_0;
                const unsigned short cast_1_bits = lt_f32_to_f16((float)in0_0);
                const float cast_1 = lt_f16_to_f32(cast_1_bits);
                out2[i0] = cast_1_bits;
                const unsigned short cast_2_bits = lt_f32_to_bf16((float)in0_0);
                const float cast_2 = lt_bf16_to_f32(cast_2_bits);
                out3[i0] = cast_2_bits;
                const long cast_3 = lt_to_i64_f32(in0_0);
                out4[i0] = cast_3;
                const int cast_4 = lt_to_i32_f32(in0_0);
                out5[i0] = cast_4;
                const unsigned char cast_5 = lt_to_u8_f32(in0_0);
                out6[i0] = cast_5;
                const _Bool cast_6 = (in0_0 != 0);
                out7[i0] = cast_6;
            }
        }
    }
}
