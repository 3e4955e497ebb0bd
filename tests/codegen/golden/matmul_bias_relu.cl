// contraction: 104 groups of 16
// maximum float32[128×200]
__kernel void KERNEL_NAME(
    __global const float *restrict in0,
    __global const float *restrict in1,
    __global const float *restrict in2,
    __global float *out3
) {
    // in0: float32[128×96]
    // in1: float32[96×200]
    // in2: float32[200]
    // out3: float32[128×200]
    const int item_ = get_local_id(0);
    const int x_ = item_ % 4, y_ = item_ / 4;
    const int tile_ = get_group_id(0) % 104;
    const int batch_ = 0;
    const int m_first_ = tile_ % 8 * 16;
    const int n_first_ = tile_ / 8 * 16;
    const int k_first_ = 0;
    __local float4 a_local_[160];
    const __global float *a_ = in0 + 0 + (0);
    const int a0_at_ = (item_) / 4;
    const int a0_k_ = (item_) % 4 * 4;
    const int a0_0_from_ = m_first_ + a0_at_;
    const int a0_0_ = a0_0_from_ * 96;
    const int a1_at_ = (item_ + 16) / 4;
    const int a1_k_ = (item_ + 16) % 4 * 4;
    const int a1_0_from_ = m_first_ + a1_at_;
    const int a1_0_ = a1_0_from_ * 96;
    const int a2_at_ = (item_ + 32) / 4;
    const int a2_k_ = (item_ + 32) % 4 * 4;
    const int a2_0_from_ = m_first_ + a2_at_;
    const int a2_0_ = a2_0_from_ * 96;
    const int a3_at_ = (item_ + 48) / 4;
    const int a3_k_ = (item_ + 48) % 4 * 4;
    const int a3_0_from_ = m_first_ + a3_at_;
    const int a3_0_ = a3_0_from_ * 96;
    __local float4 b_local_[160];
    const __global float *b_ = in1 + 0 + (0);
    const int b0_at_ = (item_) % 4 * 4;
    const int b0_k_ = (item_) / 4;
    const int b0_0_from_ = min(n_first_ + b0_at_, (int)196);
    const int b0_0_ = b0_0_from_;
    const int b1_at_ = (item_ + 16) % 4 * 4;
    const int b1_k_ = (item_ + 16) / 4;
    const int b1_0_from_ = min(n_first_ + b1_at_, (int)196);
    const int b1_0_ = b1_0_from_;
    const int b2_at_ = (item_ + 32) % 4 * 4;
    const int b2_k_ = (item_ + 32) / 4;
    const int b2_0_from_ = min(n_first_ + b2_at_, (int)196);
    const int b2_0_ = b2_0_from_;
    const int b3_at_ = (item_ + 48) % 4 * 4;
    const int b3_k_ = (item_ + 48) / 4;
    const int b3_0_from_ = min(n_first_ + b3_at_, (int)196);
    const int b3_0_ = b3_0_from_;
    float4 c0_0_ = (float4)(0);
    float4 c1_0_ = (float4)(0);
    float4 c2_0_ = (float4)(0);
    float4 c3_0_ = (float4)(0);
    float4 a0_next_ = (float4)(0);
    a0_next_ = LT_LOAD4(float, a_ + a0_0_ + (k_first_ + a0_k_));
    float4 a1_next_ = (float4)(0);
    a1_next_ = LT_LOAD4(float, a_ + a1_0_ + (k_first_ + a1_k_));
    float4 a2_next_ = (float4)(0);
    a2_next_ = LT_LOAD4(float, a_ + a2_0_ + (k_first_ + a2_k_));
    float4 a3_next_ = (float4)(0);
    a3_next_ = LT_LOAD4(float, a_ + a3_0_ + (k_first_ + a3_k_));
    float4 b0_next_ = (float4)(0);
    b0_next_ = LT_LOAD4(float, b_ + b0_0_ + (k_first_ + b0_k_) * 200);
    float4 b1_next_ = (float4)(0);
    b1_next_ = LT_LOAD4(float, b_ + b1_0_ + (k_first_ + b1_k_) * 200);
    float4 b2_next_ = (float4)(0);
    b2_next_ = LT_LOAD4(float, b_ + b2_0_ + (k_first_ + b2_k_) * 200);
    float4 b3_next_ = (float4)(0);
    b3_next_ = LT_LOAD4(float, b_ + b3_0_ + (k_first_ + b3_k_) * 200);
    {
        __local float *line_ = (__local float *)a_local_ + 0 + a0_k_ * 20 + a0_at_;
        line_[0] = a0_next_.s0;
        line_[20] = a0_next_.s1;
        line_[40] = a0_next_.s2;
        line_[60] = a0_next_.s3;
    }
    {
        __local float *line_ = (__local float *)a_local_ + 0 + a1_k_ * 20 + a1_at_;
        line_[0] = a1_next_.s0;
        line_[20] = a1_next_.s1;
        line_[40] = a1_next_.s2;
        line_[60] = a1_next_.s3;
    }
    {
        __local float *line_ = (__local float *)a_local_ + 0 + a2_k_ * 20 + a2_at_;
        line_[0] = a2_next_.s0;
        line_[20] = a2_next_.s1;
        line_[40] = a2_next_.s2;
        line_[60] = a2_next_.s3;
    }
    {
        __local float *line_ = (__local float *)a_local_ + 0 + a3_k_ * 20 + a3_at_;
        line_[0] = a3_next_.s0;
        line_[20] = a3_next_.s1;
        line_[40] = a3_next_.s2;
        line_[60] = a3_next_.s3;
    }
    {
        b_local_[0 + b0_k_ * 5 + b0_at_ / 4] = b0_next_;
    }
    {
        b_local_[0 + b1_k_ * 5 + b1_at_ / 4] = b1_next_;
    }
    {
        b_local_[0 + b2_k_ * 5 + b2_at_ / 4] = b2_next_;
    }
    {
        b_local_[0 + b3_k_ * 5 + b3_at_ / 4] = b3_next_;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step_ = 0; step_ < 6; step_++) {
        if (step_ + 1 < 6) {
            const int k_next_ = k_first_ + (step_ + 1) * 16;
            a0_next_ = LT_LOAD4(float, a_ + a0_0_ + (k_next_ + a0_k_));
            a1_next_ = LT_LOAD4(float, a_ + a1_0_ + (k_next_ + a1_k_));
            a2_next_ = LT_LOAD4(float, a_ + a2_0_ + (k_next_ + a2_k_));
            a3_next_ = LT_LOAD4(float, a_ + a3_0_ + (k_next_ + a3_k_));
            b0_next_ = LT_LOAD4(float, b_ + b0_0_ + (k_next_ + b0_k_) * 200);
            b1_next_ = LT_LOAD4(float, b_ + b1_0_ + (k_next_ + b1_k_) * 200);
            b2_next_ = LT_LOAD4(float, b_ + b2_0_ + (k_next_ + b2_k_) * 200);
            b3_next_ = LT_LOAD4(float, b_ + b3_0_ + (k_next_ + b3_k_) * 200);
        }
        const __local float4 *a_tile_ = a_local_ + step_ % 2 * 80 + y_;
        const __local float4 *b_tile_ = b_local_ + step_ % 2 * 80 + x_;
        #pragma unroll
        for (int k_ = 0; k_ < 16; k_++) {
            const float4 a0_ = a_tile_[k_ * 5];
            const float4 b0_ = b_tile_[k_ * 5];
            c0_0_ += a0_.s0 * b0_;
            c1_0_ += a0_.s1 * b0_;
            c2_0_ += a0_.s2 * b0_;
            c3_0_ += a0_.s3 * b0_;
        }
        if (step_ + 1 < 6) {
            {
                __local float *line_ = (__local float *)a_local_ + (step_ + 1) % 2 * 320 + a0_k_ * 20 + a0_at_;
                line_[0] = a0_next_.s0;
                line_[20] = a0_next_.s1;
                line_[40] = a0_next_.s2;
                line_[60] = a0_next_.s3;
            }
            {
                __local float *line_ = (__local float *)a_local_ + (step_ + 1) % 2 * 320 + a1_k_ * 20 + a1_at_;
                line_[0] = a1_next_.s0;
                line_[20] = a1_next_.s1;
                line_[40] = a1_next_.s2;
                line_[60] = a1_next_.s3;
            }
            {
                __local float *line_ = (__local float *)a_local_ + (step_ + 1) % 2 * 320 + a2_k_ * 20 + a2_at_;
                line_[0] = a2_next_.s0;
                line_[20] = a2_next_.s1;
                line_[40] = a2_next_.s2;
                line_[60] = a2_next_.s3;
            }
            {
                __local float *line_ = (__local float *)a_local_ + (step_ + 1) % 2 * 320 + a3_k_ * 20 + a3_at_;
                line_[0] = a3_next_.s0;
                line_[20] = a3_next_.s1;
                line_[40] = a3_next_.s2;
                line_[60] = a3_next_.s3;
            }
            {
                b_local_[(step_ + 1) % 2 * 80 + b0_k_ * 5 + b0_at_ / 4] = b0_next_;
            }
            {
                b_local_[(step_ + 1) % 2 * 80 + b1_k_ * 5 + b1_at_ / 4] = b1_next_;
            }
            {
                b_local_[(step_ + 1) % 2 * 80 + b2_k_ * 5 + b2_at_ / 4] = b2_next_;
            }
            {
                b_local_[(step_ + 1) % 2 * 80 + b3_k_ * 5 + b3_at_ / 4] = b3_next_;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    float sums_[16];
    vstore4(c0_0_, 0, sums_);
    vstore4(c1_0_, 1, sums_);
    vstore4(c2_0_, 2, sums_);
    vstore4(c3_0_, 3, sums_);
    #pragma unroll
    for (int i_ = 0; i_ < 4; i_++) {
        const int m_ = m_first_ + y_ * 4 + i_;
        #pragma unroll
        for (int j_ = 0; j_ < 4; j_++) {
            const int n_ = n_first_ + x_ * 4 + j_;
            if (n_ < 200) {
                const float value_ = sums_[i_ * 4 + j_];
                const float in2_0 = in2[n_];
                const float add_0 = (value_ + in2_0);
                const float maximum_0 = (add_0 > 0.0f || add_0 != add_0 ? add_0 : 0.0f);
                out3[m_ * 200 + n_] = maximum_0;
            }
        }
    }
}
