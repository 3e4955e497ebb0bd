// sort: 1200000 operations, 4800000 bytes, parallel
// sort float32[300×1000]
// argsort int64[300×1000]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const float *in0 = (const float *)arguments[0];  // float32[300×1000]
    float *out1 = (float *)arguments[1];  // float32[300×1000]
    long *out2 = (long *)arguments[2];  // int64[300×1000]
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
        for (long d = 0; d < 1024; d++) counts[d] = 0;
        for (long i = 0; i < 1000L; i++) {
            const unsigned bits = source[i];
            const unsigned magnitude = bits & 0x7fffffffu;
            const unsigned negative = (bits >> 31) & (magnitude != 0);
            const unsigned ordered = magnitude ^ (0x80000000u - negative);
            const unsigned key = (magnitude > 0x7f800000u ? 0xffffffffu : ordered);
            const unsigned long pair = (unsigned long)key << 32 | (unsigned long)(i);
            from[i - 0] = pair;
            counts[0 + (pair >> (32 + 8 * 0) & 255)]++;
            counts[256 + (pair >> (32 + 8 * 1) & 255)]++;
            counts[512 + (pair >> (32 + 8 * 2) & 255)]++;
            counts[768 + (pair >> (32 + 8 * 3) & 255)]++;
        }
        int final = -1;  // the last digit in which pairs differ
        for (int p = 0; p < 4; p++) {
            const unsigned long pair = from[0];
            if (counts[256 * p + (pair >> (32 + 8 * p) & 255)] != count) final = p;
        }
        for (int p = 0; p <= final; p++) {
            unsigned *offsets = counts + 256 * p;
            unsigned sum = 0;
            const unsigned long first = from[0];
            if (offsets[(first >> (32 + 8 * p) & 255)] == count) continue;
            for (int d = 0; d < 256; d++) {
                const unsigned found = offsets[d];
                offsets[d] = sum;
                sum += found;
            }
            if (p < final) {
                for (long i = 0; i < count; i++) {
                    const unsigned long pair = from[i];
                    to[offsets[(pair >> (32 + 8 * p) & 255)]++] = pair;
                }
                unsigned long *other = from;
                from = to;
                to = other;
            } else {
                for (long i = 0; i < count; i++) {
                    const unsigned long pair = from[i];
                    const long at = offsets[(pair >> (32 + 8 * p) & 255)]++;
                    const unsigned ordered = (unsigned)(pair >> 32);
                    const unsigned bits = ordered ^ (0xffffffffu - (ordered >> 31) * 0x7fffffffu);
                    const unsigned value = ordered == 0x80000000u || ordered == 0xffffffffu ? source[(long)(unsigned)pair] : bits;
                    values[row * 1000 + at] = (unsigned)value;
                    places[row * 1000 + at] = (long)(unsigned)pair;
                }
            }
        }
        if (final < 0) {
            for (long at = 0; at < count; at++) {
                const unsigned long pair = from[at];
                const unsigned ordered = (unsigned)(pair >> 32);
                const unsigned bits = ordered ^ (0xffffffffu - (ordered >> 31) * 0x7fffffffu);
                const unsigned value = ordered == 0x80000000u || ordered == 0xffffffffu ? source[(long)(unsigned)pair] : bits;
                values[row * 1000 + at] = (unsigned)value;
                places[row * 1000 + at] = (long)(unsigned)pair;
            }
        }
    }
}
