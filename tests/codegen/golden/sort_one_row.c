// sort_parts: 600006 operations, 2400024 bytes, parallel
// sort float64[100001]
// argsort int64[100001]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const double *in0 = (const double *)arguments[0];  // float64[100001]
    double *out1 = (double *)arguments[1];  // float64[100001]
    long *out2 = (long *)arguments[2];  // int64[100001]
    unsigned char *working = (unsigned char *)arguments[3];  // uint8[1600016]
    const unsigned long *elements = (const unsigned long *)in0;
    unsigned long *values = (unsigned long *)out1;
    long *places = (long *)out2;
    lt_keyed *runs = (lt_keyed *)working;
    const long last_task = 2L * (thread + 1) / threads;
    for (long task = 2L * thread / threads; task < last_task; task++) {
        const long row = task / 2, part = task % 2;
        const long begin = 100001L * part / 2, end = 100001L * (part + 1) / 2;
        const unsigned long *source = elements + row * 100001;
        lt_keyed *run = runs + row * 100001 + begin;
        lt_keyed *from = (lt_keyed *)scratch;
        lt_keyed *to = (lt_keyed *)(scratch + 800064);
        unsigned *counts = (unsigned *)(scratch + 1600128);
        long count = end - begin;
        for (long d = 0; d < 12288; d++) counts[d] = 0;
        for (long i = begin; i < end; i++) {
            const unsigned long bits = source[i];
            const unsigned long magnitude = bits & 0x7fffffffffffffffUL;
            const unsigned long negative = (bits >> 63) & (magnitude != 0);
            const unsigned long ordered = magnitude ^ (0x8000000000000000UL - negative);
            const unsigned long key = (magnitude > 0x7ff0000000000000UL ? 0xffffffffffffffffUL : ordered);
            const lt_keyed pair = {key, i};
            from[i - begin] = pair;
            counts[0 + (pair.key >> 11 * 0 & 2047)]++;
            counts[2048 + (pair.key >> 11 * 1 & 2047)]++;
            counts[4096 + (pair.key >> 11 * 2 & 2047)]++;
            counts[6144 + (pair.key >> 11 * 3 & 2047)]++;
            counts[8192 + (pair.key >> 11 * 4 & 2047)]++;
            counts[10240 + (pair.key >> 11 * 5 & 2047)]++;
        }
        int final = -1;  // the last digit in which pairs differ
        for (int p = 0; p < 6; p++) {
            const lt_keyed pair = from[0];
            if (counts[2048 * p + (pair.key >> 11 * p & 2047)] != count) final = p;
        }
        for (int p = 0; p <= final; p++) {
            unsigned *offsets = counts + 2048 * p;
            unsigned sum = 0;
            const lt_keyed first = from[0];
            if (offsets[(first.key >> 11 * p & 2047)] == count) continue;
            for (int d = 0; d < 2048; d++) {
                const unsigned found = offsets[d];
                offsets[d] = sum;
                sum += found;
            }
            if (p < final) {
                for (long i = 0; i < count; i++) {
                    const lt_keyed pair = from[i];
                    to[offsets[(pair.key >> 11 * p & 2047)]++] = pair;
                }
                lt_keyed *other = from;
                from = to;
                to = other;
            } else {
                for (long i = 0; i < count; i++) {
                    const lt_keyed pair = from[i];
                    const long at = offsets[(pair.key >> 11 * p & 2047)]++;
                    run[at] = pair;
                }
            }
        }
        if (final < 0) {
            for (long at = 0; at < count; at++) {
                const lt_keyed pair = from[at];
                run[at] = pair;
            }
        }
    }
}

// merge_0: 600006 operations, 2400024 bytes, parallel
// sort float64[100001]
// argsort int64[100001]
void KERNEL_NAME(long thread, long threads, char **arguments, char *scratch) {
    const double *in0 = (const double *)arguments[0];  // float64[100001]
    double *out1 = (double *)arguments[1];  // float64[100001]
    long *out2 = (long *)arguments[2];  // int64[100001]
    unsigned char *working = (unsigned char *)arguments[3];  // uint8[1600016]
    const unsigned long *elements = (const unsigned long *)in0;
    unsigned long *values = (unsigned long *)out1;
    long *places = (long *)out2;
    lt_keyed *runs = (lt_keyed *)working;
    const long last_task = 2L * (thread + 1) / threads;
    for (long task = 2L * thread / threads; task < last_task; task++) {
        const long row = task / 2, part = task % 2;
        const long first = part - part % 2;
        const long second = (first + 1 < 2 ? first + 1 : 2);
        const long after = (first + 2 < 2 ? first + 2 : 2);
        const long begin = 100001L * (first) / 2, middle = 100001L * (second) / 2;
        const long end = 100001L * (after) / 2;
        const long most_a = (100001 < middle - begin ? 100001 : middle - begin);
        const long most_b = (100001 < end - middle ? 100001 : end - middle);
        const long most = (100001 < most_a + most_b ? 100001 : most_a + most_b);
        long k = 100001L * (part) / 2 - begin;
        long k_end = 100001L * (part + 1) / 2 - begin;
        if (k_end > most) k_end = most;
        if (k >= k_end) continue;
        const lt_keyed *a = runs + 0 + row * 100001 + begin;
        const lt_keyed *b = runs + 0 + row * 100001 + middle;
        const unsigned long *source = elements + row * 100001;
        long i = k > most_b ? k - most_b : 0, i_end = k < most_a ? k : most_a;
        while (i < i_end) {
            const long half = (i + i_end) / 2;
            const lt_keyed x = a[half], y = b[k - 1 - half];
            if ((x.key < y.key || (x.key == y.key && x.place < y.place))) i = half + 1;
            else i_end = half;
        }
        long j = k - i;
        while (k < k_end && i < most_a && j < most_b) {
            // No run ends within so many steps.
            long steps = most_a - i < most_b - j ? most_a - i : most_b - j;
            if (steps > k_end - k) steps = k_end - k;
            for (long step = 0; step < steps; step++) {
                const lt_keyed x = a[i], y = b[j];
                const long other = (y.key < x.key || (y.key == x.key && y.place < x.place));
                const lt_keyed pair = *(other ? b + j : a + i);
                i += 1 - other;
                j += other;
                const unsigned long ordered = pair.key;
                const unsigned long bits = ordered ^ (0xffffffffffffffffUL - (ordered >> 63) * 0x7fffffffffffffffUL);
                const unsigned long value = ordered == 0x8000000000000000UL || ordered == 0xffffffffffffffffUL ? source[(long)pair.place] : bits;
                values[row * 100001 + k] = (unsigned long)value;
                places[row * 100001 + k] = (long)pair.place;
                k++;
            }
        }
        while (k < k_end) {
            const lt_keyed pair = i < most_a ? a[i++] : b[j++];
            const unsigned long ordered = pair.key;
            const unsigned long bits = ordered ^ (0xffffffffffffffffUL - (ordered >> 63) * 0x7fffffffffffffffUL);
            const unsigned long value = ordered == 0x8000000000000000UL || ordered == 0xffffffffffffffffUL ? source[(long)pair.place] : bits;
            values[row * 100001 + k] = (unsigned long)value;
            places[row * 100001 + k] = (long)pair.place;
            k++;
        }
    }
}
