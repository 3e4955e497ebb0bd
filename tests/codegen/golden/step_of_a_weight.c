// contraction: 2457600 operations, 229376 bytes, parallel
// sub float32[96×200]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *restrict in0 = (const float *)arguments[0];  // float32[200×64]
    const float *restrict in1 = (const float *)arguments[1];  // float32[64×96]
    const float *restrict in2 = (const float *)arguments[2];  // float32[96×200]
    float *out3 = (float *)arguments[3];  // float32[96×200]
    float *restrict b_packed_ = (float *)(scratch + 0);
    int *restrict columns_ = (int *)(scratch + 28672);
    long *restrict runs_ = (long *)(scratch + 28800);
    float *restrict results_ = (float *)(scratch + 29184);
    const long first_ = 2L * thread / threads;
    const long end_ = 2L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long batch_ = task_ / 2;
        const float *restrict a_ = in1 + 0 + (batch_);
        const float *restrict b_ = in0 + 0 + (batch_);
        const long p_begin_ = task_ / 1 % 2 * 7;
        const long p_end_ = 13 - p_begin_ < 7 ? 13 : p_begin_ + 7;
        const long m_begin_ = task_ % 1 * 96;
        const long m_end_ = 96 - m_begin_ < 96 ? 96 : m_begin_ + 96;
        const long inner_ = 64;
        for (long k_begin_ = 0; k_begin_ < inner_; k_begin_ += 64) {
            const long depth_ = 64 - k_begin_ < 64 ? 64 - k_begin_ : 64;
            for (long p_ = p_begin_; p_ < p_end_; p_++) {
                float *restrict packed_ = b_packed_ + (p_ - p_begin_) * 1024;
                const long n_begin_ = (p_ * 1 + (p_ > 1 ? p_ - 1 : 0)) * 8;
                if (p_ < 1) {
                    for (long j_ = 0; j_ < 8; j_++) {
                        const unsigned n_ = n_begin_ + (j_ < 0 ? j_ : j_ - 0);
                        columns_[j_] = (int)(n_ / 1u) * 64;
                    }
                    for (long k_ = 0; k_ < depth_;) {
                        long run_ = 64 - (k_begin_ + k_) % 64;
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
            for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += 48) {
                const long i_end_ = m_end_ - i_begin_ < 48 ? m_end_ : i_begin_ + 48;
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    const long n_begin_ = (p_ * 1 + (p_ > 1 ? p_ - 1 : 0)) * 8;
                    const float *restrict a_chunk_ = a_ + i_begin_ * 1 + k_begin_ * 96;
                    const float *restrict panel_ = b_packed_ + (p_ - p_begin_) * 1024;
                    float *target_ = results_;
                    for (long i_ = i_begin_, rows_; i_ < i_end_; i_ += rows_) {
                        long m_ = i_, n_ = n_begin_;
                        const char *place0_ = (const char *)(&in2[m_ * 200 + n_]);
                        const char *place1_ = (const char *)(&out3[m_ * 200 + n_]);
                        m_++;
                        const long step0_ = (const char *)(&in2[m_ * 200 + n_]) - place0_;
                        const long step1_ = (const char *)(&out3[m_ * 200 + n_]) - place1_;
                        if (p_ < 1) {
                            rows_ = i_end_ - i_ < 12 ? i_end_ - i_ : 12;
                            if (rows_ == 12) {
                                contraction_tile12x1_4f761c2610(a_chunk_ + (i_ - i_begin_) * 1, panel_, target_, depth_, k_begin_ == 0, place0_, step0_, place1_, step1_);
                            }
                        } else {
                            rows_ = i_end_ - i_ < 6 ? i_end_ - i_ : 6;
                            if (rows_ == 6) {
                                contraction_tile6x2_f0e0b78d7a(a_chunk_ + (i_ - i_begin_) * 1, panel_, target_, depth_, k_begin_ == 0, place0_, step0_, place1_, step1_);
                            }
                        }
                        const long n_end_ = n_begin_ + (p_ < 1 ? 8 : 16);
                        for (long m_ = i_; m_ < i_ + rows_; m_++) {
                            const float *row_ = target_ + (m_ - i_) * 16 - n_begin_;
                            #pragma GCC ivdep
                            for (long n_ = n_begin_; n_ < n_end_; n_++) {
                                const float value_ = row_[n_];
                                const float in2_0 = in2[m_ * 200 + n_];
                                const float mul_0 = (0.1f * value_);
                                const float sub_0 = (in2_0 - mul_0);
                                out3[m_ * 200 + n_] = sub_0;
                            }
                        }
                    }
                }
            }
        }
    }

}
