// contraction: 4915200 operations, 229152 bytes, parallel
// maximum float32[128×200]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *restrict in0 = (const float *)arguments[0];  // float32[128×96]
    const float *restrict in1 = (const float *)arguments[1];  // float32[96×200]
    const float *restrict in2 = (const float *)arguments[2];  // float32[200]
    float *out3 = (float *)arguments[3];  // float32[128×200]
    float *restrict results_ = (float *)(scratch + 0);
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
                    float *target_ = results_;
                    for (long i_ = i_begin_, rows_; i_ < i_end_; i_ += rows_) {
                        long m_ = i_, n_ = n_begin_;
                        const char *place0_ = (const char *)(&out3[m_ * 200 + n_]);
                        m_++;
                        const long step0_ = (const char *)(&out3[m_ * 200 + n_]) - place0_;
                        if (p_ < 1) {
                            rows_ = i_end_ - i_ < 12 ? i_end_ - i_ : 12;
                            if (rows_ == 12) {
                                contraction_tile12x1_87c166f083(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_, depth_, k_begin_ == 0, place0_, step0_);
                            } else if (rows_ == 4) {
                                contraction_tile4x1_aa7c79f287(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_, depth_, k_begin_ == 0, place0_, step0_);
                            }
                        } else {
                            rows_ = i_end_ - i_ < 6 ? i_end_ - i_ : 6;
                            if (rows_ == 6) {
                                contraction_tile6x2_e0e43e2c3b(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_, depth_, k_begin_ == 0, place0_, step0_);
                            } else if (rows_ == 4) {
                                contraction_tile4x2_3672fb445a(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_, depth_, k_begin_ == 0, place0_, step0_);
                            }
                        }
                        const long n_end_ = n_begin_ + (p_ < 1 ? 8 : 16);
                        for (long m_ = i_; m_ < i_ + rows_; m_++) {
                            const float *row_ = target_ + (m_ - i_) * 16 - n_begin_;
                            #pragma GCC ivdep
                            for (long n_ = n_begin_; n_ < n_end_; n_++) {
                                const float value_ = row_[n_];
                                const float in2_0 = in2[n_];
                                const float add_0 = (value_ + in2_0);
                                const float maximum_0 = (add_0 > 0.0f || add_0 != add_0 ? add_0 : 0.0f);
                                out3[m_ * 200 + n_] = maximum_0;
                            }
                        }
                    }
                }
            }
        }
    }

}
