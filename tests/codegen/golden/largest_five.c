// permute: 300000 operations, 2400000 bytes, parallel
// permute float32[300×1000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[1000×300]
    float *out1 = (float *)arguments[1];  // float32[300×1000]
    const long last = 40L * (thread + 1) / threads;
    for (long task = 40L * thread / threads; task < last; task++) {
        {
            const long i0_start = task / 4 * 32;
            const long i0_count = 300 - i0_start < 32 ? 300 - i0_start : 32;
            const long i1_start = task % 4 * 256;
            const long i1_count = 1000 - i1_start < 256 ? 1000 - i1_start : 256;
            float turned0[8192] __attribute__((aligned(64)));
            lt_lines_turn4(in0 + i1_start * 300 + i0_start, 300, turned0, 256, i1_count, i0_count);
            for (long step = 0; step < i0_count; step++) {
                const long i0 = i0_start + step;
                {
                    const long i1_start = task % 4 * 256;
                    const long i1_count = 1000 - i1_start < 256 ? 1000 - i1_start : 256;
                    #pragma GCC ivdep
                    for (long lane = 0; lane < i1_count; lane++) {
                        const long i1 = i1_start + lane;
                        const float in0_0 = turned0[step * 256 + i1 - i1_start];
                        out1[i0 * 1000 + i1] = in0_0;
                    }
                }
            }
        }
    }
}

// sort: 1200000 operations, 1218000 bytes, parallel
// sort float32[300×5]
// argsort int64[300×5]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×1000]
    float *out1 = (float *)arguments[1];  // float32[300×5]
    long *out2 = (long *)arguments[2];  // int64[300×5]
    const unsigned *elements = (const unsigned *)in0;
    unsigned *values = (unsigned *)out1;
    long *places = (long *)out2;
    const long last_row = 300L * (thread + 1) / threads;
    for (long row = 300L * thread / threads; row < last_row; row++) {
        const unsigned *source = elements + row * 1000;
        unsigned long *from = (unsigned long *)scratch;
        unsigned long *to = (unsigned long *)(scratch + 8064);
        unsigned *counts = (unsigned *)(scratch + 16128);
        long count = 1000L - 0;
        count = 5;
        for (long i = 0; i < count; i++) {
            const unsigned bits = source[0 + i];
            const unsigned magnitude = bits & 0x7fffffffu;
            const unsigned negative = (bits >> 31) & (magnitude != 0);
            const unsigned ordered = magnitude ^ (0x80000000u - negative);
            const unsigned key = (magnitude > 0x7f800000u ? 0xffffffffu : ordered) ^ 0xffffffffu;
            const unsigned long pair = (unsigned long)key << 32 | (unsigned long)(0 + i);
            from[i] = pair;
        }
        for (long i = 1; i < count; i++) {
            const unsigned long pair = from[i];
            long j = i;
            for (; j > 0; j--) {
                const unsigned long other = from[j - 1];
                if (!(pair < other)) break;
                from[j] = other;
            }
            from[j] = pair;
        }
        unsigned long last_pair = from[count - 1];
        unsigned last_key = (unsigned)(last_pair >> 32);
        for (long start = 0 + count; start < 1000L; start += 64) {
            const long stop = start + 64 < 1000L ? start + 64 : 1000L;
            if (stop - start == 64) {
                int some = 0;
                for (long i = start; i < start + 64; i++) {
                    const unsigned bits = source[i];
                    const unsigned magnitude = bits & 0x7fffffffu;
                    const unsigned negative = (bits >> 31) & (magnitude != 0);
                    const unsigned ordered = magnitude ^ (0x80000000u - negative);
                    const unsigned key = (magnitude > 0x7f800000u ? 0xffffffffu : ordered) ^ 0xffffffffu;
                    some |= key < last_key;
                }
                if (!some) continue;
            }
            for (long i = start; i < stop; i++) {
                const unsigned bits = source[i];
                const unsigned magnitude = bits & 0x7fffffffu;
                const unsigned negative = (bits >> 31) & (magnitude != 0);
                const unsigned ordered = magnitude ^ (0x80000000u - negative);
                const unsigned key = (magnitude > 0x7f800000u ? 0xffffffffu : ordered) ^ 0xffffffffu;
                if (key >= last_key) continue;
                const unsigned long pair = (unsigned long)key << 32 | (unsigned long)(i);
                long j = count - 1;
                for (; j > 0; j--) {
                    const unsigned long other = from[j - 1];
                    if (!(pair < other)) break;
                    from[j] = other;
                }
                from[j] = pair;
                last_pair = from[count - 1];
                last_key = (unsigned)(last_pair >> 32);
            }
        }
        for (long at = 0; at < count; at++) {
            const unsigned long pair = from[at];
            const unsigned ordered = (unsigned)(pair >> 32) ^ 0xffffffffu;
            const unsigned bits = ordered ^ (0xffffffffu - (ordered >> 31) * 0x7fffffffu);
            const unsigned value = ordered == 0x80000000u || ordered == 0xffffffffu ? source[(long)(unsigned)pair] : bits;
            values[row * 5 + at] = (unsigned)value;
            places[row * 5 + at] = (long)(unsigned)pair;
        }
    }
}

// permute: 1500 operations, 12000 bytes, serial
// permute float32[5×300]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×5]
    float *out1 = (float *)arguments[1];  // float32[5×300]
    const long last = 5L * (thread + 1) / threads;
    for (long task = 5L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 300; lane++) {
            const long i1 = lane;
            const float in0_0 = in0[i1 * 5 + task];
            out1[task * 300 + i1] = in0_0;
        }
    }
}

// permute: 1500 operations, 24000 bytes, serial
// permute int64[5×300]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const long *in0 = (const long *)arguments[0];  // int64[300×5]
    long *out1 = (long *)arguments[1];  // int64[5×300]
    const long last = 5L * (thread + 1) / threads;
    for (long task = 5L * thread / threads; task < last; task++) {
        #pragma GCC ivdep
        for (long lane = 0; lane < 300; lane++) {
            const long i1 = lane;
            const long in0_0 = in0[i1 * 5 + task];
            out1[task * 300 + i1] = in0_0;
        }
    }
}
