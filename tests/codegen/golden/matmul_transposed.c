// contraction: 4915200 operations, 228352 bytes, parallel
// sum float32[128×200]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *restrict in0 = (const float *)arguments[0];  // float32[96×128]
    const float *restrict in1 = (const float *)arguments[1];  // float32[200×96]
    float *out2 = (float *)arguments[2];  // float32[128×200]
    float *restrict b_packed_ = (float *)(scratch + 0);
    int *restrict columns_ = (int *)(scratch + 43008);
    long *restrict runs_ = (long *)(scratch + 43136);
    const long first_ = 2L * thread / threads;
    const long end_ = 2L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long batch_ = task_ / 2;
        const float *restrict a_ = in0 + 0 + (batch_);
        const float *restrict b_ = in1 + 0 + (batch_);
        const long p_begin_ = task_ / 1 % 2 * 7;
        const long p_end_ = 13 - p_begin_ < 7 ? 13 : p_begin_ + 7;
        const long m_begin_ = task_ % 1 * 128;
        const long m_end_ = 128 - m_begin_ < 128 ? 128 : m_begin_ + 128;
        const long inner_ = 96;
        for (long k_begin_ = 0; k_begin_ < inner_; k_begin_ += 96) {
            const long depth_ = 96 - k_begin_ < 96 ? 96 - k_begin_ : 96;
            for (long p_ = p_begin_; p_ < p_end_; p_++) {
                float *restrict packed_ = b_packed_ + (p_ - p_begin_) * 1536;
                const long n_begin_ = (p_ * 1 + (p_ > 1 ? p_ - 1 : 0)) * 8;
                if (p_ < 1) {
                    for (long j_ = 0; j_ < 8; j_++) {
                        const unsigned n_ = n_begin_ + (j_ < 0 ? j_ : j_ - 0);
                        columns_[j_] = (int)(n_ / 1u) * 96;
                    }
                    for (long k_ = 0; k_ < depth_;) {
                        long run_ = 96 - (k_begin_ + k_) % 96;
                        run_ = run_ < depth_ - k_ ? run_ : depth_ - k_;
                        const float *source_ = b_ + (k_begin_ + k_) * 1;
                        float *target_ = packed_ + k_ * 8;
                        for (long at_ = 0; at_ < run_; at_ += 8) {
                            if (run_ < 8) {
                                for (long i_ = 0; i_ < run_; i_++) {
                                    for (long j_ = 0; j_ < 8; j_++) {
                                        target_[i_ * 8 + j_] = source_[columns_[j_] + i_];
                                    }
                                }
                                break;
                            }
                            if (at_ > run_ - 8) {
                                at_ = run_ - 8;
                            }
                            for (long j_ = 0; j_ < 8; j_ += 8) {
                                contraction_transpose8_4d7db010b3(source_ + at_, columns_ + j_, target_ + at_ * 8 + j_, 8);
                            }
                        }
                        k_ += run_;
                    }
                } else {
                    for (long j_ = 0; j_ < 16; j_++) {
                        const unsigned n_ = n_begin_ + (j_ < 8 ? j_ : j_ - 0);
                        columns_[j_] = (int)(n_ / 1u) * 96;
                    }
                    for (long k_ = 0; k_ < depth_;) {
                        long run_ = 96 - (k_begin_ + k_) % 96;
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
            for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += 48) {
                const long i_end_ = m_end_ - i_begin_ < 48 ? m_end_ : i_begin_ + 48;
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    const long n_begin_ = (p_ * 1 + (p_ > 1 ? p_ - 1 : 0)) * 8;
                    const float *restrict a_chunk_ = a_ + i_begin_ * 1 + k_begin_ * 128;
                    const float *restrict panel_ = b_packed_ + (p_ - p_begin_) * 1536;
                    float *target_ = &out2[i_begin_ * 200 + n_begin_];
                    for (long i_ = i_begin_, rows_; i_ < i_end_; i_ += rows_) {
                        if (p_ < 1) {
                            rows_ = i_end_ - i_ < 12 ? i_end_ - i_ : 12;
                            if (rows_ == 12) {
                                contraction_tile12x1_f4f87b16be(a_chunk_ + (i_ - i_begin_) * 1, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            } else if (rows_ == 8) {
                                contraction_tile8x1_a49d0b8ab5(a_chunk_ + (i_ - i_begin_) * 1, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            }
                        } else {
                            rows_ = i_end_ - i_ < 6 ? i_end_ - i_ : 6;
                            if (rows_ == 6) {
                                contraction_tile6x2_3cebd7b599(a_chunk_ + (i_ - i_begin_) * 1, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            } else if (rows_ == 2) {
                                contraction_tile2x2_3e18799cd6(a_chunk_ + (i_ - i_begin_) * 1, panel_, target_ + (i_ - i_begin_) * 200, depth_, k_begin_ == 0);
                            }
                        }
                    }
                }
            }
        }
    }

}
