// pad: 10368 operations, 74240 bytes, serial
// pad float32[4×8×18×18]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[4×8×16×16]
    float *out1 = (float *)arguments[1];  // float32[4×8×18×18]
    const long last = 576L * (thread + 1) / threads;
    for (long task = 576L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 18; lane++) {
            const long i3 = lane;
            const float in0_0 = task % 18 >= 1 && task % 18 < 17 && i3 >= 1 && i3 < 17 ? in0[task / 18 * 256 + task % 18 * 16 + i3 - 17] : 0;
            out1[task * 18 + i3] = in0_0;
        }
    }
}

// contraction: 1769472 operations, 94080 bytes, parallel
// sum float32[4×12×16×16]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *restrict in0 = (const float *)arguments[0];  // float32[4×8×18×18]
    const float *restrict in1 = (const float *)arguments[1];  // float32[12×8×3×3]
    float *out2 = (float *)arguments[2];  // float32[4×12×16×16]
    int *restrict a_inner_ = (int *)(scratch + 0);
    float *restrict b_packed_ = (float *)(scratch + 576);
    int *restrict columns_ = (int *)(scratch + 5184);
    long *restrict runs_ = (long *)(scratch + 5312);
    float *restrict a_packed_ = (float *)(scratch + 5696);
    float *restrict results_ = (float *)(scratch + 79424);
    const long first_ = 2L * thread / threads;
    const long end_ = 2L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long batch_ = task_ / 2;
        const float *restrict a_ = in0 + 0 + (batch_);
        const float *restrict b_ = in1 + 0 + (batch_);
        const long p_begin_ = task_ / 2 % 1 * 1;
        const long p_end_ = 1 - p_begin_ < 1 ? 1 : p_begin_ + 1;
        const long m_begin_ = task_ % 2 * 512;
        const long m_end_ = 1024 - m_begin_ < 512 ? 1024 : m_begin_ + 512;
        for (long k_begin_ = 0; k_begin_ < 72; k_begin_ += 72) {
            const long depth_ = 72 - k_begin_ < 72 ? 72 - k_begin_ : 72;
            {
                long at_ = k_begin_ / 9 * 324 + k_begin_ / 3 % 3 * 18 + k_begin_ % 3;
                long i2_ = k_begin_ / 1 % 3;
                long i1_ = k_begin_ / 3 % 3;
                long i0_ = k_begin_ / 9 % 8;
                for (long k_ = 0; k_ < depth_; k_++) {
                    a_inner_[k_] = at_;
                    at_ += 1;
                    if (++i2_ == 3) {
                        i2_ = 0;
                        at_ -= 3;
                        at_ += 18;
                        if (++i1_ == 3) {
                            i1_ = 0;
                            at_ -= 54;
                            at_ += 324;
                            if (++i0_ == 8) {
                                i0_ = 0;
                                at_ -= 2592;
                            }
                        }
                    }
                }
            }
            if (m_begin_ == 0 || task_ == first_) {
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    float *restrict packed_ = b_packed_ + (p_ - p_begin_) * 1152;
                    const long n_begin_ = p_ * 16;
                    {
                        for (long j_ = 0; j_ < 16; j_++) {
                            const unsigned n_ = n_begin_ + (j_ < 8 ? j_ : j_ - 4);
                            columns_[j_] = (int)(n_ / 1u) * 72;
                        }
                        for (long k_ = 0; k_ < depth_;) {
                            long run_ = 72 - (k_begin_ + k_) % 72;
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
            for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += 192) {
                const long i_end_ = m_end_ - i_begin_ < 192 ? m_end_ : i_begin_ + 192;
                for (long m_ = i_begin_; m_ < i_end_; m_++) {
                    const float *source_ = a_ + (m_ / 256 * 2592 + m_ / 16 % 16 * 18 + m_ % 16);
                    float *target_ = a_packed_ + (m_ - i_begin_) * 96;
                    for (long k_ = 0; k_ < depth_; k_++) {
                        target_[k_] = source_[a_inner_[k_]];
                    }
                }
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    const long n_begin_ = p_ * 16;
                    const float *restrict a_chunk_ = a_packed_;
                    const float *restrict panel_ = b_packed_ + (p_ - p_begin_) * 1152;
                    float *target_ = results_;
                    long n_end_;
                    {
                        long i_ = i_begin_;
                        for (; i_ + 6 <= i_end_; i_ += 6) {
                            contraction_tile6x2_f725db789c(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_ + (i_ - i_begin_) * 16, depth_, k_begin_ == 0);
                        }
                        if (i_end_ - i_ == 2) {
                            contraction_tile2x2_14628314e3(a_chunk_ + (i_ - i_begin_) * 96, panel_, target_ + (i_ - i_begin_) * 16, depth_, k_begin_ == 0);
                        }
                        n_end_ = n_begin_ + 12;
                    }
                    for (long m_ = i_begin_; m_ < i_end_; m_++) {
                        const float *row_ = target_ + (m_ - i_begin_) * 16 - n_begin_;
                        for (long n_ = n_begin_; n_ < n_end_; n_++) {
                            const float value_ = row_[n_];
                            out2[m_ / 256 * 3072 + n_ * 256 + m_ % 256] = value_;
                        }
                    }
                }
            }
        }
    }

}
