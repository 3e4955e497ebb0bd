// contraction: 256 groups of 256
// sum float32[2048×2048]
__kernel void KERNEL_NAME(
    __global const float *restrict in0,
    __global const float *restrict in1,
    __global float *out2
) {
    // in0: float32[2048×1024]
    // in1: float32[1024×2048]
    // out2: float32[2048×2048]
    const int item_ = get_local_id(0);
    const int x_ = item_ % 8 + item_ / 32 % 2 * 8;
    const int y_ = item_ / 8 % 4 + item_ / 64 * 4;
    const int tile_ = get_group_id(0) % 256;
    const int batch_ = 0;
    const int band_ = tile_ / 128 * 8;
    const int height_ = min(8, 16 - band_);
    const int m_first_ = (band_ + tile_ % 128 % height_) * 128;
    const int n_first_ = tile_ % 128 / height_ * 128;
    const int k_first_ = 0;
    __local float4 a_local_[528];
    const __global float *a_ = in0 + 0 + (0);
    const int a0_at_ = (item_) / 2;
    const int a0_k_ = (item_) % 2 * 4;
    const int a0_0_from_ = m_first_ + a0_at_;
    const int a0_0_ = a0_0_from_ * 1024;
    __local float4 b_local_[528];
    const __global float *b_ = in1 + 0 + (0);
    const int b0_at_ = (item_) % 32 * 4;
    const int b0_k_ = (item_) / 32;
    const int b0_0_from_ = n_first_ + b0_at_;
    const int b0_0_ = b0_0_from_;
    float4 c0_0_ = (float4)(0);
    float4 c0_1_ = (float4)(0);
    float4 c1_0_ = (float4)(0);
    float4 c1_1_ = (float4)(0);
    float4 c2_0_ = (float4)(0);
    float4 c2_1_ = (float4)(0);
    float4 c3_0_ = (float4)(0);
    float4 c3_1_ = (float4)(0);
    float4 c4_0_ = (float4)(0);
    float4 c4_1_ = (float4)(0);
    float4 c5_0_ = (float4)(0);
    float4 c5_1_ = (float4)(0);
    float4 c6_0_ = (float4)(0);
    float4 c6_1_ = (float4)(0);
    float4 c7_0_ = (float4)(0);
    float4 c7_1_ = (float4)(0);
    float4 a0_next_ = (float4)(0);
    a0_next_ = LT_LOAD4(float, a_ + a0_0_ + (k_first_ + a0_k_));
    float4 b0_next_ = (float4)(0);
    b0_next_ = LT_LOAD4(float, b_ + b0_0_ + (k_first_ + b0_k_) * 2048);
    {
        __local float *line_ = (__local float *)a_local_ + 0 + a0_k_ * 132 + a0_at_;
        line_[0] = a0_next_.s0;
        line_[132] = a0_next_.s1;
        line_[264] = a0_next_.s2;
        line_[396] = a0_next_.s3;
    }
    {
        b_local_[0 + b0_k_ * 33 + b0_at_ / 4] = b0_next_;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step_ = 0; step_ < 128; step_++) {
        if (step_ + 1 < 128) {
            const int k_next_ = k_first_ + (step_ + 1) * 8;
            a0_next_ = LT_LOAD4(float, a_ + a0_0_ + (k_next_ + a0_k_));
            b0_next_ = LT_LOAD4(float, b_ + b0_0_ + (k_next_ + b0_k_) * 2048);
        }
        const __local float4 *a_tile_ = a_local_ + step_ % 2 * 264 + y_;
        const __local float4 *b_tile_ = b_local_ + step_ % 2 * 264 + x_;
        #pragma unroll
        for (int k_ = 0; k_ < 8; k_++) {
            const float4 a0_ = a_tile_[k_ * 33];
            const float4 a1_ = a_tile_[k_ * 33 + 16];
            const float4 b0_ = b_tile_[k_ * 33];
            const float4 b1_ = b_tile_[k_ * 33 + 16];
            c0_0_ += a0_.s0 * b0_;
            c0_1_ += a0_.s0 * b1_;
            c1_0_ += a0_.s1 * b0_;
            c1_1_ += a0_.s1 * b1_;
            c2_0_ += a0_.s2 * b0_;
            c2_1_ += a0_.s2 * b1_;
            c3_0_ += a0_.s3 * b0_;
            c3_1_ += a0_.s3 * b1_;
            c4_0_ += a1_.s0 * b0_;
            c4_1_ += a1_.s0 * b1_;
            c5_0_ += a1_.s1 * b0_;
            c5_1_ += a1_.s1 * b1_;
            c6_0_ += a1_.s2 * b0_;
            c6_1_ += a1_.s2 * b1_;
            c7_0_ += a1_.s3 * b0_;
            c7_1_ += a1_.s3 * b1_;
        }
        if (step_ + 1 < 128) {
            {
                __local float *line_ = (__local float *)a_local_ + (step_ + 1) % 2 * 1056 + a0_k_ * 132 + a0_at_;
                line_[0] = a0_next_.s0;
                line_[132] = a0_next_.s1;
                line_[264] = a0_next_.s2;
                line_[396] = a0_next_.s3;
            }
            {
                b_local_[(step_ + 1) % 2 * 264 + b0_k_ * 33 + b0_at_ / 4] = b0_next_;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 0 + y_ * 4 + 0) * 2048 + n_first_ + 0 + x_ * 4;
        LT_STORE4(float, to_, c0_0_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 0 + y_ * 4 + 0) * 2048 + n_first_ + 64 + x_ * 4;
        LT_STORE4(float, to_, c0_1_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 0 + y_ * 4 + 1) * 2048 + n_first_ + 0 + x_ * 4;
        LT_STORE4(float, to_, c1_0_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 0 + y_ * 4 + 1) * 2048 + n_first_ + 64 + x_ * 4;
        LT_STORE4(float, to_, c1_1_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 0 + y_ * 4 + 2) * 2048 + n_first_ + 0 + x_ * 4;
        LT_STORE4(float, to_, c2_0_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 0 + y_ * 4 + 2) * 2048 + n_first_ + 64 + x_ * 4;
        LT_STORE4(float, to_, c2_1_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 0 + y_ * 4 + 3) * 2048 + n_first_ + 0 + x_ * 4;
        LT_STORE4(float, to_, c3_0_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 0 + y_ * 4 + 3) * 2048 + n_first_ + 64 + x_ * 4;
        LT_STORE4(float, to_, c3_1_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 64 + y_ * 4 + 0) * 2048 + n_first_ + 0 + x_ * 4;
        LT_STORE4(float, to_, c4_0_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 64 + y_ * 4 + 0) * 2048 + n_first_ + 64 + x_ * 4;
        LT_STORE4(float, to_, c4_1_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 64 + y_ * 4 + 1) * 2048 + n_first_ + 0 + x_ * 4;
        LT_STORE4(float, to_, c5_0_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 64 + y_ * 4 + 1) * 2048 + n_first_ + 64 + x_ * 4;
        LT_STORE4(float, to_, c5_1_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 64 + y_ * 4 + 2) * 2048 + n_first_ + 0 + x_ * 4;
        LT_STORE4(float, to_, c6_0_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 64 + y_ * 4 + 2) * 2048 + n_first_ + 64 + x_ * 4;
        LT_STORE4(float, to_, c6_1_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 64 + y_ * 4 + 3) * 2048 + n_first_ + 0 + x_ * 4;
        LT_STORE4(float, to_, c7_0_);
    }
    {
        __global float *to_ = (__global float *)out2 + 0 + (size_t)batch_ * 0 + (m_first_ + 64 + y_ * 4 + 3) * 2048 + n_first_ + 64 + x_ * 4;
        LT_STORE4(float, to_, c7_1_);
    }
}
