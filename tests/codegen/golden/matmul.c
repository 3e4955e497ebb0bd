// contraction: 4915200 operations, 228352 bytes, parallel
// sum float32[128×200]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *restrict in0 = (const float *)arguments[0];  // float32[128×96]
    const float *restrict in1 = (const float *)arguments[1];  // float32[96×200]
    float *out2 = (float *)arguments[2];  // float32[128×200]
    const long first_ = 2L * thread / threads;
    const long end_ = 2L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long batch_ = task_ / 2;
        const float *restrict a_ = in0 + 0 + (batch_);
        const float *restrict b_ = in1 + 0 + (batch_);
        const long p_begin_ = task_ / 2 % 1 * 13;
        const long p_end_ = 13 - p_begin_ < 13 ? 13 : p_begin_ + 13;
        const long m_begin_ = task_ % 2 * 64;
        const long m_end_ = 128 - m_begin_ < 64 ? 128 : m_begin_ + 64;
        const long inner_ = 96;
        for (long k_begin_ = 0; k_begin_ < inner_; k_begin_ += 96) {
            const long depth_ = 96 - k_begin_ < 96 ? 96 - k_begin_ : 96;
            for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += 48) {
                const long i_end_ = m_end_ - i_begin_ < 48 ? m_end_ : i_begin_ + 48;
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    const long n_begin_ = (p_ * 1 + (p_ > 1 ? p_ - 1 : 0)) * 8;
                    const float *restrict a_chunk_ = a_ + i_begin_ * 96 + k_begin_ * 1;
                    const float *restrict panel_ = b_ + k_begin_ * 200 + n_begin_;
                    float *target_ = &out2[i_begin_ * 200 + n_begin_];
                    for (long i_ = i_begin_, rows_; i_ < i_end_; i_ += rows_) {
                        if (p_ < 1) {
                            rows_ = i_end_ - i_ < 12 ? i_end_ - i_ : 12;
                            if (rows_ == 12) {
                                contraction_tile12x1_ac74f41806(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            } else if (rows_ == 4) {
                                contraction_tile4x1_8e4074340e(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            }
                        } else {
                            rows_ = i_end_ - i_ < 6 ? i_end_ - i_ : 6;
                            if (rows_ == 6) {
                                contraction_tile6x2_56e4d4d96a(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            } else if (rows_ == 4) {
                                contraction_tile4x2_59cc22dd2a(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            }
                        }
                    }
                }
            }
        }
    }

}
