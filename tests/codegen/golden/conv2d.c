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
    int *restrict b_inner_ = (int *)(scratch + 0);
    float *restrict b_packed_ = (float *)(scratch + 576);
    int *restrict columns_ = (int *)(scratch + 74304);
    long *restrict runs_ = (long *)(scratch + 74432);
    const long first_ = 4L * thread / threads;
    const long end_ = 4L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long batch_ = task_ / 1;
        const float *restrict a_ = in1 + 0 + (0);
        const float *restrict b_ = in0 + 0 + (batch_ * 2592);
        const long p_begin_ = task_ / 1 % 1 * 16;
        const long p_end_ = 16 - p_begin_ < 16 ? 16 : p_begin_ + 16;
        const long m_begin_ = task_ % 1 * 12;
        const long m_end_ = 12 - m_begin_ < 12 ? 12 : m_begin_ + 12;
        for (long k_begin_ = 0; k_begin_ < 72; k_begin_ += 72) {
            const long depth_ = 72 - k_begin_ < 72 ? 72 - k_begin_ : 72;
            {
                long at_ = k_begin_ / 9 * 324 + k_begin_ / 3 % 3 * 18 + k_begin_ % 3;
                long i2_ = k_begin_ / 1 % 3;
                long i1_ = k_begin_ / 3 % 3;
                long i0_ = k_begin_ / 9 % 8;
                for (long k_ = 0; k_ < depth_; k_++) {
                    b_inner_[k_] = at_;
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
            for (long p_ = p_begin_; p_ < p_end_; p_++) {
                float *restrict packed_ = b_packed_ + (p_ - p_begin_) * 1152;
                const long n_begin_ = p_ * 16;
                {
                    for (long j_ = 0; j_ < 16; j_++) {
                        const unsigned n_ = n_begin_ + (j_ < 8 ? j_ : j_ - 0);
                        columns_[j_] = (int)(n_ / 16u) * 18 + (int)(n_ / 1u % 16u) * 1;
                    }
                    long run_count_ = 0, run_end_ = 0;
                    for (long j_ = 0; j_ < 16; j_++) {
                        if (j_ == run_end_ || columns_[j_] != columns_[j_ - 1] + 1) {
                            runs_[run_count_++] = j_;
                            run_end_ = j_ + 8;
                        }
                    }
                    long highest_ = 0;
                    for (long j_ = 0; j_ < 16; j_++) {
                        highest_ = columns_[j_] > highest_ ? columns_[j_] : highest_;
                    }
                    for (long k_ = 0; k_ < depth_; k_++) {
                        const float *source_ = b_ + b_inner_[k_];
                        float *target_ = packed_ + k_ * 16;
                        if (source_ + highest_ + 8 <= in0 + 10368 && k_ + 1 < depth_) {
                            for (long r_ = 0; r_ < run_count_; r_++) {
                                *(contraction_float8_459cb6adceu *)(target_ + runs_[r_]) = *(const contraction_float8_459cb6adceu *)(source_ + columns_[runs_[r_]]);
                            }
                        } else {
                            for (long j_ = 0; j_ < 16; j_++) {
                                target_[j_] = source_[columns_[j_]];
                            }
                        }
                    }
                }
            }
            for (long i_begin_ = m_begin_; i_begin_ < m_end_; i_begin_ += 192) {
                const long i_end_ = m_end_ - i_begin_ < 192 ? m_end_ : i_begin_ + 192;
                for (long p_ = p_begin_; p_ < p_end_; p_++) {
                    const long n_begin_ = p_ * 16;
                    const float *restrict a_chunk_ = a_ + i_begin_ * 72 + k_begin_ * 1;
                    const float *restrict panel_ = b_packed_ + (p_ - p_begin_) * 1152;
                    float *target_ = &out2[batch_ * 3072 + i_begin_ * 256 + n_begin_];
                    {
                        long i_ = i_begin_;
                        for (; i_ + 6 <= i_end_; i_ += 6) {
                            contraction_tile6x2_16b7c40924(a_chunk_ + (i_ - i_begin_) * 72, panel_, target_ + (i_ - i_begin_) * 256, depth_, k_begin_ == 0);
                        }
                    }
                }
            }
        }
    }

}
