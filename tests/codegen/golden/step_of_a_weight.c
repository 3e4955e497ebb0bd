// contraction: 2457600 operations, 229376 bytes, parallel
// sub float32[96×200]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *restrict in0 = (const float *)arguments[0];  // float32[200×64]
    const float *restrict in1 = (const float *)arguments[1];  // float32[64×96]
    const float *restrict in2 = (const float *)arguments[2];  // float32[96×200]
    float *out3 = (float *)arguments[3];  // float32[96×200]
    float *restrict results_ = (float *)(scratch + 0);
    const long first_ = 2L * thread / threads;
    const long end_ = 2L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long batch_ = task_ / 2;
        const float *restrict a_ = in0 + 0 + (batch_);
        const float *restrict b_ = in1 + 0 + (batch_);
        const long p_begin_ = task_ / 1 % 2 * 3;
        const long p_end_ = 6 - p_begin_ < 3 ? 6 : p_begin_ + 3;
        const long m_begin_ = task_ % 1 * 200;
        const long m_end_ = 200 - m_begin_ < 200 ? 200 : m_begin_ + 200;
        for (long k_begin_ = 0; k_begin_ < 64; k_begin_ += 64) {
            const long depth_ = 64 - k_begin_ < 64 ? 64 - k_begin_ : 64;
            for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += 192) {
                const long i_end_ = m_end_ - i_begin_ < 192 ? m_end_ : i_begin_ + 192;
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    const long n_begin_ = p_ * 16;
                    const float *restrict a_chunk_ = a_ + i_begin_ * 64 + k_begin_ * 1;
                    const float *restrict panel_ = b_ + k_begin_ * 96 + n_begin_;
                    float *target_ = results_;
                    long n_end_;
                    {
                        long i_ = i_begin_;
                        for (; i_ + 6 <= i_end_; i_ += 6) {
                            contraction_tile6x2_afaa39c683(a_chunk_ + (i_ - i_begin_) * 64, panel_, target_ + (i_ - i_begin_) * 16, depth_, k_begin_ == 0);
                        }
                        if (i_end_ - i_ == 2) {
                            contraction_tile2x2_32ae042cc6(a_chunk_ + (i_ - i_begin_) * 64, panel_, target_ + (i_ - i_begin_) * 16, depth_, k_begin_ == 0);
                        }
                        n_end_ = n_begin_ + 16;
                    }
                    for (long m_ = i_begin_; m_ < i_end_; m_++) {
                        const float *row_ = target_ + (m_ - i_begin_) * 16 - n_begin_;
                        #pragma GCC ivdep
                        for (long n_ = n_begin_; n_ < n_end_; n_++) {
                            const float value_ = row_[n_];
                            const float in2_0 = in2[n_ * 200 + m_];
                            const float mul_0 = (0.1f * value_);
                            const float sub_0 = (in2_0 - mul_0);
                            out3[n_ * 200 + m_] = sub_0;
                        }
                    }
                }
            }
        }
    }

}
