// sort: 600000 operations, 600600 bytes, parallel
// sort bfloat16[300×1]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const unsigned short *in0 = (const unsigned short *)arguments[0];  // bfloat16[300×1000]
    unsigned short *out1 = (unsigned short *)arguments[1];  // bfloat16[300×1]
    const unsigned short *elements = (const unsigned short *)in0;
    unsigned short *values = (unsigned short *)out1;
    const long last_row = 300L * (thread + 1) / threads;
    for (long row = 300L * thread / threads; row < last_row; row++) {
        const unsigned short *source = elements + row * 1000;
        unsigned long *from = (unsigned long *)scratch;
        unsigned long *to = (unsigned long *)(scratch + 8064);
        unsigned *counts = (unsigned *)(scratch + 16128);
        long count = 1000L - 0;
        long low = 499, high = 500, skipped = 0;
        unsigned least = 0xffffu, greatest = 0;
        for (long i = 0; i < 1000L; i++) {
            const unsigned bits = source[i];
            const unsigned magnitude = bits & 0x7fffu;
            const unsigned negative = (bits >> 15) & (magnitude != 0);
            const unsigned ordered = magnitude ^ (0x8000u - negative);
            const unsigned key = (magnitude > 0x7f80u ? 0xffffu : ordered);
            least = key < least ? key : least;
            greatest = key > greatest ? key : greatest;
        }
        int shift = 0;
        while ((least ^ greatest) >> shift >= 512) shift++;
        unsigned base = least >> shift;
        for (long d = 0; d < 512; d++) counts[d] = 0;
        for (long i = 0; i < 1000L; i++) {
            const unsigned bits = source[i];
            const unsigned magnitude = bits & 0x7fffu;
            const unsigned negative = (bits >> 15) & (magnitude != 0);
            const unsigned ordered = magnitude ^ (0x8000u - negative);
            const unsigned key = (magnitude > 0x7f80u ? 0xffffu : ordered);
            counts[(long)((key >> shift) - base)]++;
        }
        long first = 0, after = 0;
        {
            long before = 0;
            while (before + counts[first] <= low) before += counts[first++];
            after = first;
            for (long through = before; through < high; after++) through += counts[after];
            low -= before;
            high -= before;
            skipped += before;
        }
        long kept = 0;
        for (long i = 0; i < 1000L; i++) {
            const unsigned bits = source[i];
            const unsigned magnitude = bits & 0x7fffu;
            const unsigned negative = (bits >> 15) & (magnitude != 0);
            const unsigned ordered = magnitude ^ (0x8000u - negative);
            const unsigned key = (magnitude > 0x7f80u ? 0xffffu : ordered);
            const unsigned long pair = (unsigned long)key << 32 | (unsigned long)(i);
            const long bucket = (long)((key >> shift) - base);
            from[kept] = pair;  // to be written over, unless it is kept
            kept += bucket >= first && bucket < after;
        }
        count = kept;
        while (count > 48 && after - first == 1 && shift) {
            const int fewer = shift < 9 ? shift : 9;
            base = (base + first) << fewer;
            shift -= fewer;
            for (long d = 0; d < 512; d++) counts[d] = 0;
            for (long i = 0; i < count; i++) {
                const unsigned long pair = from[i];
                const unsigned key = (unsigned)(pair >> 32);
                counts[(long)((key >> shift) - base)]++;
            }
            first = 0;
            {
                long before = 0;
                while (before + counts[first] <= low) before += counts[first++];
                after = first;
                for (long through = before; through < high; after++) through += counts[after];
                low -= before;
                high -= before;
                skipped += before;
            }
            kept = 0;
            for (long i = 0; i < count; i++) {
                const unsigned long pair = from[i];
                const unsigned key = (unsigned)(pair >> 32);
                const long bucket = (long)((key >> shift) - base);
                from[kept] = pair;
                kept += bucket >= first && bucket < after;
            }
            count = kept;
        }
        if (count <= 48) {
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
            for (long at = 0; at < count; at++) {
                const unsigned long pair = from[at];
                if (at >= low && at < high) {
                    const unsigned ordered = (unsigned)(pair >> 32);
                    const unsigned bits = ordered ^ (0xffffu - (ordered >> 15) * 0x7fffu);
                    const unsigned value = ordered == 0x8000u || ordered == 0xffffu ? source[(long)(unsigned)pair] : bits;
                    values[row * 1 + at + skipped - 499] = (unsigned short)value;
                }
            }
        } else {
            for (long d = 0; d < 512; d++) counts[d] = 0;
            for (long i = 0; i < count; i++) {
                const unsigned long pair = from[i];
                counts[0 + (pair >> (32 + 8 * 0) & 255)]++;
                counts[256 + (pair >> (32 + 8 * 1) & 255)]++;
            }
            int final = -1;  // the last digit in which pairs differ
            for (int p = 0; p < 2; p++) {
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
                        if (at >= low && at < high) {
                            const unsigned ordered = (unsigned)(pair >> 32);
                            const unsigned bits = ordered ^ (0xffffu - (ordered >> 15) * 0x7fffu);
                            const unsigned value = ordered == 0x8000u || ordered == 0xffffu ? source[(long)(unsigned)pair] : bits;
                            values[row * 1 + at + skipped - 499] = (unsigned short)value;
                        }
                    }
                }
            }
            if (final < 0) {
                for (long at = 0; at < count; at++) {
                    const unsigned long pair = from[at];
                    if (at >= low && at < high) {
                        const unsigned ordered = (unsigned)(pair >> 32);
                        const unsigned bits = ordered ^ (0xffffu - (ordered >> 15) * 0x7fffu);
                        const unsigned value = ordered == 0x8000u || ordered == 0xffffu ? source[(long)(unsigned)pair] : bits;
                        values[row * 1 + at + skipped - 499] = (unsigned short)value;
                    }
                }
            }
        }
    }
}
