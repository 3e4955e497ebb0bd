// exp_mul: 98 groups of 256
// mul float32[100003]
__kernel void KERNEL_NAME(
    __global const float *in0,
    __global float *out1
) {
    // in0: float32[100003]
    // out1: float32[100003]
    {
        const int quad = get_global_id(0);
        if (quad < 25000) {
            const int i0_quad = quad * 4;
            const float4 in0_0_quad = LT_LOAD4(float, in0 + i0_quad);
            float4 out1_quad0;
            {
                const int i0 = i0_quad + 0;
                const float in0_0 = in0_0_quad.s0;
                const float mul_0 = (in0_0 * in0_0);
                const float neg_0 = ((float)-mul_0);
                const float exp_0 = lt_exp_of_negative_f32(neg_0);
                const float mul_1 = (exp_0 * 0.5f);
                out1_quad0.s0 = mul_1;
            }
            {
                const int i0 = i0_quad + 1;
                const float in0_0 = in0_0_quad.s1;
                const float mul_0 = (in0_0 * in0_0);
                const float neg_0 = ((float)-mul_0);
                const float exp_0 = lt_exp_of_negative_f32(neg_0);
                const float mul_1 = (exp_0 * 0.5f);
                out1_quad0.s1 = mul_1;
            }
            {
                const int i0 = i0_quad + 2;
                const float in0_0 = in0_0_quad.s2;
                const float mul_0 = (in0_0 * in0_0);
                const float neg_0 = ((float)-mul_0);
                const float exp_0 = lt_exp_of_negative_f32(neg_0);
                const float mul_1 = (exp_0 * 0.5f);
                out1_quad0.s2 = mul_1;
            }
            {
                const int i0 = i0_quad + 3;
                const float in0_0 = in0_0_quad.s3;
                const float mul_0 = (in0_0 * in0_0);
                const float neg_0 = ((float)-mul_0);
                const float exp_0 = lt_exp_of_negative_f32(neg_0);
                const float mul_1 = (exp_0 * 0.5f);
                out1_quad0.s3 = mul_1;
            }
            LT_STORE4(float, out1 + i0_quad, out1_quad0);
        }
    }
    {
        const int element = get_global_id(0);
        if (element < 3) {
            const float in0_1 = in0[element + 100000];
            const float mul_2 = (in0_1 * in0_1);
            const float neg_1 = ((float)-mul_2);
            const float exp_1 = lt_exp_of_negative_f32(neg_1);
            const float mul_3 = (exp_1 * 0.5f);
            out1[element + 100000] = mul_3;
        }
    }
}
