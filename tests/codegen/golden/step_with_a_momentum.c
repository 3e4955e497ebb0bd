// contraction: 2457600 operations, 152576 bytes, parallel
// sum float32[96×200]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *restrict in0 = (const float *)arguments[0];  // float32[96×64]
    const float *restrict in1 = (const float *)arguments[1];  // float32[64×200]
    float *out2 = (float *)arguments[2];  // float32[96×200]
    const long first_ = 2L * thread / threads;
    const long end_ = 2L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long batch_ = task_ / 2;
        const float *restrict a_ = in0 + 0 + (batch_);
        const float *restrict b_ = in1 + 0 + (batch_);
        const long p_begin_ = task_ / 2 % 1 * 13;
        const long p_end_ = 13 - p_begin_ < 13 ? 13 : p_begin_ + 13;
        const long m_begin_ = task_ % 2 * 48;
        const long m_end_ = 96 - m_begin_ < 48 ? 96 : m_begin_ + 48;
        const long inner_ = 64;
        for (long k_begin_ = 0; k_begin_ < inner_; k_begin_ += 64) {
            const long depth_ = 64 - k_begin_ < 64 ? 64 - k_begin_ : 64;
            for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += 48) {
                const long i_end_ = m_end_ - i_begin_ < 48 ? m_end_ : i_begin_ + 48;
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    const long n_begin_ = (p_ * 1 + (p_ > 1 ? p_ - 1 : 0)) * 8;
                    const float *restrict a_chunk_ = a_ + i_begin_ * 64 + k_begin_ * 1;
                    const float *restrict panel_ = b_ + k_begin_ * 200 + n_begin_;
                    float *target_ = &out2[i_begin_ * 200 + n_begin_];
                    for (long i_ = i_begin_, rows_; i_ < i_end_; i_ += rows_) {
                        if (p_ < 1) {
                            rows_ = i_end_ - i_ < 12 ? i_end_ - i_ : 12;
                            if (rows_ == 12) {
                                contraction_tile12x1_807c7e0193(a_chunk_ + (i_ - i_begin_) * 64, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            }
                        } else {
                            rows_ = i_end_ - i_ < 6 ? i_end_ - i_ : 6;
                            if (rows_ == 6) {
                                contraction_tile6x2_9f79c7ee85(a_chunk_ + (i_ - i_begin_) * 64, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            }
                        }
                    }
                }
            }
        }
    }

}

// maximum_sub: 96000 operations, 384008 bytes, parallel
// maximum float32[96×200]
// sub float32[96×200]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[scalar]
    const float *in1 = (const float *)arguments[1];  // float32[96×200]
    const float *in2 = (const float *)arguments[2];  // float32[scalar]
    const float *in3 = (const float *)arguments[3];  // float32[96×200]
    float *out4 = (float *)arguments[4];  // float32[96×200]
    const float *in5 = (const float *)arguments[5];  // float32[96×200]
    float *out6 = (float *)arguments[6];  // float32[96×200]
    const float in0_0 = in0[0];
    const float in2_0 = in2[0];
    const long last = 5L * (thread + 1) / threads;
    for (long task = 5L * thread / threads; task < last; task++) {
        {
            const long i0_start = task * 4096;
            const long i0_count = 19200 - i0_start < 4096 ? 19200 - i0_start : 4096;
            #pragma GCC ivdep
            for (long lane = 0; lane < i0_count; lane++) {
                const long i0 = i0_start + lane;
                const float in1_0 = in1[i0];
                const float mul_0 = (in0_0 * in1_0);
                const float in3_0 = in3[i0];
                const float mul_1 = (in2_0 * in3_0);
                const float add_0 = (mul_0 + mul_1);
                const float maximum_0 = (0.0f > add_0 || 0.0f != 0.0f ? 0.0f : add_0);
                out4[i0] = maximum_0;
                const float in5_0 = in5[i0];
                const float sub_0 = (in5_0 - maximum_0);
                out6[i0] = sub_0;
            }
        }
    }
}
