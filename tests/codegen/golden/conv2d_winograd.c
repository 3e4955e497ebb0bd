// pad: 73984 operations, 526336 bytes, parallel
// pad float32[4×64×17×17]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[4×64×15×15]
    float *out1 = (float *)arguments[1];  // float32[4×64×17×17]
    const long last = 4352L * (thread + 1) / threads;
    for (long task = 4352L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 17; lane++) {
            const long i3 = lane;
            const float in0_0 = task % 17 >= 1 && task % 17 < 16 && i3 >= 1 && i3 < 16 ? in0[task / 17 * 225 + task % 17 * 15 + i3 - 16] : 0;
            out1[task * 17 + i3] = in0_0;
        }
    }
}

// winograd_weights: 129024 operations, 535552 bytes, parallel
// maximum float32[4×72×15×15]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *restrict in0 = (const float *)arguments[0];  // float32[72×64×3×3]
    float *working = (float *)arguments[1];  // float32[92416]
    float *restrict taps_ = (float *)(scratch + 0);
    const long first_ = 9L * thread / threads;
    const long end_ = 9L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long group_ = task_ / 9;
        const float *restrict a_ = in0 + 0 + (0);
        const long m_begin_ = task_ % 9 * 8;
        const long m_end_ = 72 - m_begin_ < 8 ? 72 : m_begin_ + 8;
        for (long m_ = m_begin_; m_ < m_end_; m_++) {
            for (long c_ = 0; c_ < 64; c_++) {
                const float *source_ = a_ + (m_ * 576) + (c_ * 9);
                float *target_ = taps_ + (m_ - m_begin_) * 576 + c_;
                target_[0] = source_[0];
                target_[64] = source_[1];
                target_[128] = source_[2];
                target_[192] = source_[3];
                target_[256] = source_[4];
                target_[320] = source_[5];
                target_[384] = source_[6];
                target_[448] = source_[7];
                target_[512] = source_[8];
            }
        }
        for (long m_ = m_begin_; m_ < m_end_; m_++) {
            contraction_winograd_weights_e0b6f9f9d3(taps_ + (m_ - m_begin_) * 576, working + group_ * 92416 + m_ / 72 * 92416 + m_ % 72 * 80);
        }
    }

}

// contraction: 38715392 operations, 925088 bytes, parallel
// maximum float32[4×72×15×15]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *restrict working = (const float *)arguments[0];  // float32[92416]
    const float *restrict in0 = (const float *)arguments[1];  // float32[4×64×17×17]
    const float *restrict in1 = (const float *)arguments[2];  // float32[72]
    float *out2 = (float *)arguments[3];  // float32[4×72×15×15]
    float *restrict images_ = (float *)(scratch + 0);
    float *restrict sums_ = (float *)(scratch + 66560);
    float *restrict results_ = (float *)(scratch + 141312);
    const long first_ = 16L * thread / threads;
    const long end_ = 16L * (thread + 1) / threads;
    for (long task_ = first_; task_ < end_; task_++) {
        const long group_ = task_ / 16;
        const float *restrict b_ = in0 + 0 + (0);
        const float *restrict a_ = working + group_ * 92416;
        const long r_begin_ = 32L * (task_ % 16) / 16;
        const long r_end_ = 32L * (task_ % 16 + 1) / 16;
        const long tiles_ = (r_end_ - r_begin_) * 8;
        const float *end_of_b_ = in0 + 73984;
        for (long c_ = 0; c_ < 64; c_++) {
            const float *channel_ = b_ + (c_ * 289);
            float *target_ = images_ + c_ * 16;
            for (long r_ = r_begin_, stop_; r_ < r_end_; r_ = stop_) {
                const long image_ = r_ / 8;
                stop_ = (image_ + 1) * 8 < r_end_ ? (image_ + 1) * 8 : r_end_;
                const float *source_ = channel_ + (image_ * 18496) + (r_ - image_ * 8) * 34;
                for (long y_ = r_; y_ < stop_; y_++) {
                    if (source_ + 69 <= end_of_b_) {
                        contraction_winograd_input8_4b5f9b35c9(source_ + 0, 17, target_ + 0);
                    } else {
                        contraction_winograd_input_at_end8_ec3874ea30(source_ + 0, 17, target_ + 0, end_of_b_);
                    }
                    source_ += 34;
                    target_ += 8;
                }
            }
        }
        for (long m_begin_ = 0; m_begin_ < 72; m_begin_ += 72) {
            const long m_end_ = 72 - m_begin_ < 72 ? 72 : m_begin_ + 72;
            const long count_ = m_end_ - m_begin_;
            for (long x_ = 0; x_ < 16; x_++) {
                const float *weights_ = a_ + m_begin_ / 72 * 92416 + x_ * 5776;
                const float *columns_ = images_ + x_ * 1040;
                float *target_ = sums_ + x_ * 1168;
                {
                    long i_ = 0;
                    for (; i_ + 6 <= count_; i_ += 6) {
                        contraction_tile6x2_bb3b6fd644(weights_ + i_ * 80, columns_ + 0, target_ + i_ * 16 + 0, 64, 1, weights_ + (i_ + 6) * 80);
                    }
                }
            }
            for (long m_ = m_begin_; m_ < m_end_; m_++) {
                const float *source_ = sums_ + (m_ - m_begin_) * 16;
                for (long r_ = r_begin_, stop_; r_ < r_end_; r_ = stop_) {
                    const long image_ = r_ / 8;
                    stop_ = (image_ + 1) * 8 < r_end_ ? (image_ + 1) * 8 : r_end_;
                    float *row_ = results_;
                    for (long y_ = r_; y_ < stop_; y_++) {
                        contraction_winograd_output8_f83358e0a5(source_ + 0, row_ + 0);
                        source_ += 8;
                        row_ += 30;
                    }
                    const long y_begin_ = (r_ - image_ * 8) * 2;
                    long y_end_ = (stop_ - image_ * 8) * 2;
                    y_end_ = y_end_ < 15 ? y_end_ : 15;
                    const long batch_ = 0 + (image_);
                    const long n_begin_ = (0) + y_begin_ * 15;
                    const long n_end_ = n_begin_ + (y_end_ - y_begin_) * 15;
                    #pragma GCC ivdep
                    for (long n_ = n_begin_; n_ < n_end_; n_++) {
                        const float value_ = results_[n_ - n_begin_];
                        const float in1_0 = in1[m_];
                        const float add_0 = (value_ + in1_0);
                        const float maximum_0 = (add_0 > 0.0f || add_0 != add_0 ? add_0 : 0.0f);
                        out2[batch_ * 16200 + m_ * 225 + n_] = maximum_0;
                    }
                }
            }
        }
    }

}
