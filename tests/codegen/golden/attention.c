// chain: 4587520 operations, 131072 bytes, parallel
// sum float32[128×64]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in2 = (const float *)arguments[0];  // float32[128×64]
    const float *in3 = (const float *)arguments[1];  // float32[128×64]
    const float *in4 = (const float *)arguments[2];  // float32[128×64]
    float *out5 = (float *)arguments[3];  // float32[128×64]
    const long first_ = 3L * thread / threads;
    const long end_ = 3L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long row_begin_ = task_ / 3 * 128 + task_ % 3 * 48;
        const long row_count_ = task_ % 3 < 2 ? 48 : 32;
        float *block0 = (float *)(scratch + 0) - row_begin_ * 128;
        float *block1 = (float *)(scratch + 24576) - row_begin_ * 128;
    {
    float *restrict b_packed_ = (float *)(scratch + 49152);
    int *restrict columns_ = (int *)(scratch + 81920);
    long *restrict runs_ = (long *)(scratch + 82048);
    {
        const long batch_ = task_ / 3;
        const float *restrict a_ = in2 + 0 + (batch_);
        const float *restrict b_ = in3 + 0 + (batch_);
        const long p_begin_ = task_ / 3 % 1 * 8;
        const long p_end_ = 8 - p_begin_ < 8 ? 8 : p_begin_ + 8;
        const long m_begin_ = task_ % 3 * 48;
        const long m_end_ = 128 - m_begin_ < 48 ? 128 : m_begin_ + 48;
        const long inner_ = 64;
        for (long k_begin_ = 0; k_begin_ < inner_; k_begin_ += 64) {
            const long depth_ = 64 - k_begin_ < 64 ? 64 - k_begin_ : 64;
            if (m_begin_ == 0 || task_ == first_) {
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    float *restrict packed_ = b_packed_ + (p_ - p_begin_) * 1024;
                    const long n_begin_ = p_ * 16;
                    {
                        for (long j_ = 0; j_ < 16; j_++) {
                            const unsigned n_ = n_begin_ + (j_ < 8 ? j_ : j_ - 0);
                            columns_[j_] = (int)(n_ / 1u) * 64;
                        }
                        for (long k_ = 0; k_ < depth_;) {
                            long run_ = 64 - (k_begin_ + k_) % 64;
                            run_ = run_ < depth_ - k_ ? run_ : depth_ - k_;
                            const float *source_ = b_ + (k_begin_ + k_) * 1;
                            float *target_ = packed_ + k_ * 16;
                            for (long at_ = 0; at_ < run_; at_ += 8) {
                                if (run_ < 8) {
                                    for (long i_ = 0; i_ < run_; i_++) {
                                        for (long j_ = 0; j_ < 16; j_++) {
                                            target_[i_ * 16 + j_] = source_[columns_[j_] + i_];
                                        }
                                    }
                                    break;
                                }
                                if (at_ > run_ - 8) {
                                    at_ = run_ - 8;
                                }
                                for (long j_ = 0; j_ < 16; j_ += 8) {
                                    contraction_transpose8_4d7db010b3(source_ + at_, columns_ + j_, target_ + at_ * 16 + j_, 16);
                                }
                            }
                            k_ += run_;
                        }
                    }
                }
            }
            for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += 48) {
                const long i_end_ = m_end_ - i_begin_ < 48 ? m_end_ : i_begin_ + 48;
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    const long n_begin_ = p_ * 16;
                    const float *restrict a_chunk_ = a_ + i_begin_ * 64 + k_begin_ * 1;
                    const float *restrict panel_ = b_packed_ + (p_ - p_begin_) * 1024;
                    float *target_ = &block0[i_begin_ * 128 + n_begin_];
                    for (long i_ = i_begin_, rows_; i_ < i_end_; i_ += rows_) {
                        {
                            rows_ = i_end_ - i_ < 6 ? i_end_ - i_ : 6;
                            if (rows_ == 6) {
                                contraction_tile6x2_0576eab9ad(a_chunk_ + (i_ - i_begin_) * 64, panel_, target_ + (i_ - i_begin_) * 128, depth_, k_begin_ == 0);
                            } else if (rows_ == 2) {
                                contraction_tile2x2_1d3b962c14(a_chunk_ + (i_ - i_begin_) * 64, panel_, target_ + (i_ - i_begin_) * 128, depth_, k_begin_ == 0);
                            }
                        }
                    }
                }
            }
        }
    }

    }
        // The work on each row, at the number it has in the whole.
        const long m_end_ = task_ % 3 * 48 + row_count_;
        for (long row_ = row_begin_; row_ < row_begin_ + row_count_; row_++) {
            rows_60966c9bab(row_, 128, block0, block1, scratch + 82432, 128);
        }
    {
    {
        const long batch_ = task_ / 3;
        const float *restrict a_ = block1 + 0 + (batch_);
        const float *restrict b_ = in4 + 0 + (batch_);
        const long p_begin_ = task_ / 3 % 1 * 4;
        const long p_end_ = 4 - p_begin_ < 4 ? 4 : p_begin_ + 4;
        const long m_begin_ = task_ % 3 * 48;
        const long m_end_ = 128 - m_begin_ < 48 ? 128 : m_begin_ + 48;
        const long inner_ = 128;
        for (long k_begin_ = 0; k_begin_ < inner_; k_begin_ += 128) {
            const long depth_ = 128 - k_begin_ < 128 ? 128 - k_begin_ : 128;
            for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += 48) {
                const long i_end_ = m_end_ - i_begin_ < 48 ? m_end_ : i_begin_ + 48;
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    const long n_begin_ = p_ * 16;
                    const float *restrict a_chunk_ = a_ + i_begin_ * 128 + k_begin_ * 1;
                    const float *restrict panel_ = b_ + k_begin_ * 64 + n_begin_;
                    float *target_ = &out5[i_begin_ * 64 + n_begin_];
                    for (long i_ = i_begin_, rows_; i_ < i_end_; i_ += rows_) {
                        {
                            rows_ = i_end_ - i_ < 6 ? i_end_ - i_ : 6;
                            if (rows_ == 6) {
                                contraction_tile6x2_71df0f9e53(a_chunk_ + (i_ - i_begin_) * 128, panel_, target_ + (i_ - i_begin_) * 64, depth_, k_begin_ == 0);
                            } else if (rows_ == 2) {
                                contraction_tile2x2_66464ba06a(a_chunk_ + (i_ - i_begin_) * 128, panel_, target_ + (i_ - i_begin_) * 64, depth_, k_begin_ == 0);
                            }
                        }
                    }
                }
            }
        }
    }

    }
    }
}
