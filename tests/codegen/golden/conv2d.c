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
    int *restrict a_inner_ = (int *)(scratch + 576);
    float *restrict a_packed_ = (float *)(scratch + 1152);
    long *restrict at_ = (long *)(scratch + 4608);
    long *restrict place_ = (long *)(scratch + 4672);
    float *restrict results_ = (float *)(scratch + 4736);
    {
        long at_ = 0;
        long i0_ = 0;
        for (long k_ = 0; k_ < 72; k_++) {
            a_inner_[k_] = at_;
            at_ += 1;
            if (++i0_ == 72) {
                i0_ = 0;
                at_ -= 72;
            }
        }
    }
    {
        long at_ = 0;
        long i2_ = 0;
        long i1_ = 0;
        long i0_ = 0;
        for (long k_ = 0; k_ < 72; k_++) {
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
    const long first_ = 4L * thread / threads;
    const long end_ = 4L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long batch_ = task_ / 1;
        const float *restrict a_ = in1 + 0 + (0);
        const float *restrict b_ = in0 + 0 + (batch_ * 2592);
        if (task_ == first_) {
            for (long i_ = 0; i_ < 12; i_ += 6) {
                const long rows_ = 12 - i_ < 6 ? 12 - i_ : 6;
                for (long r_ = 0; r_ < rows_; r_++) {
                    const float *source_ = a_ + ((i_ + r_) * 72);
                    float *target_ = a_packed_ + i_ * 72 + r_;
                    for (long k_ = 0; k_ < 72; k_++) {
                        target_[k_ * rows_] = source_[a_inner_[k_]];
                    }
                }
            }
        }
        const long p_begin_ = task_ % 1 * 16;
        const long p_end_ = 16 - p_begin_ < 16 ? 16 : p_begin_ + 16;
        for (long p_ = p_begin_; p_ < p_end_; p_++) {
            const long first_vector_ = p_ * 2;
            for (long j_ = 0; j_ < 2; j_++) {
                const long row_ = (first_vector_ + j_) / 2;
                long x_ = (first_vector_ + j_) % 2 * 8;
                x_ = x_ < 8 ? x_ : 8;
                at_[j_] = row_ * 18 + x_;
                place_[j_] = row_ * 16 + x_;
            }
            const long n_begin_ = first_vector_ / 2 * 16 + first_vector_ % 2 * 8;
            const long n_end_ = place_[1] + 8;
            const long start_ = place_[0];
            for (long j_ = 0; j_ < 2; j_++) {
                place_[j_] -= start_;
            }
            for (long i_ = 0; i_ < 12; i_ += 6) {
                contraction_window6x2_2b4590a055(a_packed_ + i_ * 72, b_, at_, b_inner_, 72, results_, place_);
                for (long r_ = 0; r_ < 6; r_++) {
                    const long m_ = i_ + r_;
                    const float *row_ = results_ + r_ * 24 - start_;
                    #pragma GCC ivdep
                    for (long n_ = n_begin_; n_ < n_end_; n_++) {
                        const float value_ = row_[n_];
                        out2[batch_ * 3072 + m_ * 256 + n_] = value_;
                    }
                }
            }
        }
    }

}
